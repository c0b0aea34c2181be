#pragma once
// Runs programs that nobody trusts: code that a model wrote. Walls around it, from outside to inside: namespaces of its
// own (users, processes, mounts, network, IPC), by bubblewrap where it is installed or else by this program itself; a
// root folder that holds /usr read-only, /dev/null and a scratch folder in memory; no privileges; a seccomp list of the
// system calls that computing needs; limits on memory, CPU time, files, processes, output and wall time. At the end
// every process inside is killed.
#include <string>
#include <vector>

#include "base/error.h"

namespace hadal {

struct SandboxOptions {
  std::string isolation = "auto";
  bool allow_unsafe = false;
  double wall_seconds = 10;
  int cpu_seconds = 8, memory_mb = 512, scratch_mb = 32, processes = 16, open_files = 64, output_kb = 64;
  template <class V>
  void visit(V&& v) {
    v("isolation", isolation, "the outer wall; auto: the first that works",
      {.choices = {"auto", "bubblewrap", "namespaces", "none"}});
    v("allow_unsafe", allow_unsafe,
      "run code even where it cannot be isolated: with its user's rights on this machine");
    v("wall_seconds", wall_seconds, "seconds that one program may take");
    v("cpu_seconds", cpu_seconds, "CPU seconds of each of its processes");
    v("memory_mb", memory_mb, "address space of each of its processes");
    v("scratch_mb", scratch_mb, "what it may write, in memory");
    v("processes", processes, "processes and threads");
    v("open_files", open_files, "open files of each process");
    v("output_kb", output_kb, "output that is kept; more ends the program");
  }
};

/// A file in the scratch folder, which is the working folder of the program.
struct SandboxFile {
  std::string name, content;
};

struct SandboxJob {
  std::vector<std::string> argv;  // argv[0] is an absolute path under /usr
  std::vector<SandboxFile> files;
  std::string input;  // on stdin
};

struct SandboxResult {
  enum class End : std::uint8_t { kExited, kSignal, kWallLimit, kCpuLimit, kOutputLimit, kNotStarted };
  End end = End::kNotStarted;
  int code = 0;  // exit code, or the number of the signal
  std::string out, err;
  double wall_seconds = 0;
  bool ok() const { return end == End::kExited && code == 0; }
};
std::string_view end_name(SandboxResult::End end);

/// Safe to use from several threads.
class Sandbox {
 public:
  /// Tries the walls on /usr/bin/true. Throws Error when there is none that holds and allow_unsafe is not set.
  explicit Sandbox(const SandboxOptions& options = {});

  /// Runs a program to its end or to its first limit. Throws Error for an argv[0] or file name that is not acceptable
  /// and when this machine has no pipes or memory left; whatever the program does is a result.
  SandboxResult run(const SandboxJob& job) const;

  /// "bubblewrap", "namespaces" or "none".
  const std::string& isolation() const { return options_.isolation; }
  /// The walls in force, for people.
  std::vector<std::string> layers() const;

 private:
  SandboxOptions options_;
};

}  // namespace hadal
