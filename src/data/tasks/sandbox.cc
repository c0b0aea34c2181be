#include "data/tasks/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/descriptor.h"
#include "base/log.h"
#include "data/tasks/sandbox_child.h"
#include "data/tasks/sandbox_filter.h"

namespace hadal {
namespace {

constexpr char kBubblewrap[] = "/usr/bin/bwrap";
using Clock = std::chrono::steady_clock;

struct Pipe {
  Descriptor read, write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  HADAL_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0, "sandbox: pipe: ", std::strerror(errno));
  // Numbers below 3 would be overwritten in the child.
  Pipe pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  for (Descriptor* end : {&pipe.read, &pipe.write})
    if (end->get() < 3) *end = Descriptor(::fcntl(end->get(), F_DUPFD_CLOEXEC, 3));
  return pipe;
}

// Text as a file without a name, at its begin.
Descriptor memory_file(std::string_view text) {
  Descriptor file(::memfd_create("sandbox", MFD_CLOEXEC));
  HADAL_CHECK(file.get() >= 0, "sandbox: memfd_create: ", std::strerror(errno));
  if (file.get() < 3) file = Descriptor(::fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t n = ::write(file.get(), text.data() + written, text.size() - written);
    HADAL_CHECK(n > 0, "sandbox: cannot store ", text.size(), " bytes: ", std::strerror(errno));
    written += static_cast<std::size_t>(n);
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

void check_job(const SandboxJob& job) {
  HADAL_CHECK(!job.argv.empty() && job.argv[0].starts_with("/usr/"), "sandbox: got program \"",
              job.argv.empty() ? "" : job.argv[0], "\", want an absolute path under /usr");
  for (const SandboxFile& file : job.files)
    HADAL_CHECK(!file.name.empty() && file.name[0] != '.' && file.name.find('/') == std::string::npos,
                "sandbox: got file name \"", file.name, "\", want a plain name");
}

struct Limit {
  int resource;
  const char* name;  // as prlimit(1) calls it
  std::uint64_t value;
};

std::vector<Limit> limits_of(const SandboxOptions& o) {
  const auto mb = [](int n) { return static_cast<std::uint64_t>(n) << 20; };
  return {{RLIMIT_AS, "as", mb(o.memory_mb)},
          {RLIMIT_CPU, "cpu", static_cast<std::uint64_t>(o.cpu_seconds)},
          {RLIMIT_FSIZE, "fsize", mb(o.scratch_mb)},
          {RLIMIT_NOFILE, "nofile", static_cast<std::uint64_t>(o.open_files)},
          {RLIMIT_NPROC, "nproc", static_cast<std::uint64_t>(o.processes)},
          {RLIMIT_CORE, "core", 0},
          {RLIMIT_MEMLOCK, "memlock", 0},
          {RLIMIT_MSGQUEUE, "msgqueue", 0}};
}

// One run: the plan of the child, what it points to, and the parent's ends.
class Run {
 public:
  Run(const SandboxOptions& options, const SandboxJob& job) : options_(options), job_(job) {
    out_ = make_pipe(), err_ = make_pipe(), problem_ = make_pipe(), go_ = make_pipe();
    input_ = memory_file(job.input);
    plan_.input = input_.get(), plan_.output = out_.write.get(), plan_.errors = err_.write.get();
    plan_.problem = problem_.write.get(), plan_.go = go_.read.get();
    plan_.drop_root = ::geteuid() == 0;
    if (options.isolation == "bubblewrap")
      plan_bubblewrap();
    else
      plan_own();
    for (const std::string& argument : arguments_) plan_.argv.push_back(argument.c_str());
    plan_.argv.push_back(nullptr);
    plan_.environment = {"PATH=/usr/bin:/bin", "HOME=/box", "LANG=C.UTF-8", nullptr};
  }
  ~Run() {
    std::error_code ignored;
    if (!plan_.folder.empty()) std::filesystem::remove_all(plan_.folder, ignored);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  SandboxResult result() {
    const Clock::time_point begin = Clock::now();
    start();
    SandboxResult result;
    const int status = follow(begin, result);
    result.wall_seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    judge(status, result);
    return result;
  }

 private:
  void plan_own() {
    plan_.namespaces = options_.isolation == "namespaces";
    plan_.scratch_size = str_cat("mode=755,nr_inodes=4096,size=", options_.scratch_mb, "m");
    plan_.filter = sandbox_filter();
    for (const Limit& limit : limits_of(options_)) plan_.limits.emplace_back(limit.resource, limit.value);
    arguments_ = job_.argv;
    if (!plan_.namespaces) return plan_folder();
    for (const SandboxFile& file : job_.files) {
      contents_.push_back(memory_file(file.content));
      plan_.files.emplace_back("/box/" + file.name, contents_.back().get());
    }
  }

  // Without walls: a folder of this machine.
  void plan_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hadal-sandbox-XXXXXX").string();
    HADAL_CHECK(::mkdtemp(pattern.data()) != nullptr, pattern, ": ", std::strerror(errno));
    plan_.folder = pattern;
    for (const SandboxFile& file : job_.files) {
      const std::string path = plan_.folder + "/" + file.name;
      const Descriptor fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644));
      HADAL_CHECK(fd.get() >= 0 && ::write(fd.get(), file.content.data(), file.content.size()) ==
                                       static_cast<ssize_t>(file.content.size()),
                  path, ": ", std::strerror(errno));
    }
    if (plan_.drop_root) HADAL_CHECK(::chown(plan_.folder.c_str(), kNobody, kNobody) == 0, plan_.folder, ": chown");
  }

  void plan_bubblewrap() {
    plan_.exec_only = true;
    arguments_ = {kBubblewrap,
                  "--unshare-all",
                  "--die-with-parent",
                  "--new-session",
                  "--cap-drop",
                  "ALL",
                  "--uid",
                  std::to_string(kNobody),
                  "--gid",
                  std::to_string(kNobody),
                  "--hostname",
                  "sandbox",
                  "--ro-bind",
                  "/usr",
                  "/usr",
                  "--symlink",
                  "usr/bin",
                  "/bin",
                  "--symlink",
                  "usr/lib",
                  "/lib",
                  "--symlink",
                  "usr/lib64",
                  "/lib64",
                  "--dir",
                  "/dev",
                  "--dev-bind",
                  "/dev/null",
                  "/dev/null",
                  "--size",
                  std::to_string(static_cast<std::int64_t>(options_.scratch_mb) << 20),
                  "--tmpfs",
                  "/box"};
    for (const SandboxFile& file : job_.files) {
      contents_.push_back(memory_file(file.content));
      arguments_.insert(arguments_.end(), {"--file", std::to_string(contents_.back().get()), "/box/" + file.name});
    }
    const std::vector<sock_filter> filter = sandbox_filter();
    contents_.push_back(
        memory_file({reinterpret_cast<const char*>(filter.data()), filter.size() * sizeof(sock_filter)}));
    arguments_.insert(arguments_.end(), {"--remount-ro", "/", "--chdir", "/box", "--seccomp",
                                         std::to_string(contents_.back().get()), "--"});
    for (const Descriptor& content : contents_) plan_.keep.push_back(content.get());
    // Limits hold inside only: on processes they would count those of other sandboxes, too.
    arguments_.emplace_back("/usr/bin/prlimit");
    for (const Limit& limit : limits_of(options_))
      arguments_.push_back(
          str_cat("--", limit.name, "=", limit.value, ":", limit.value + (limit.resource == RLIMIT_CPU)));
    arguments_.emplace_back("--");
    arguments_.insert(arguments_.end(), job_.argv.begin(), job_.argv.end());
  }

  void start() {
    unsigned long flags = SIGCHLD;
    if (plan_.namespaces)
      flags |=
          CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    pid_ = static_cast<pid_t>(::syscall(SYS_clone, flags, 0, 0, 0, 0));
    if (pid_ == 0) run_sandbox_child(plan_);
    if (pid_ < 0) {
      problem_text_ = str_cat("clone: ", std::strerror(errno));
      return;
    }
    for (Descriptor* end : {&out_.write, &err_.write, &problem_.write, &go_.read}) end->close();
    if (plan_.namespaces) map_ids();
    go_.write.close();
  }

  void map_ids() {
    const std::string process = str_cat("/proc/", pid_, "/");
    const auto put = [&](const char* name, const std::string& text) {
      const Descriptor file(::open((process + name).c_str(), O_WRONLY | O_CLOEXEC));
      if (file.get() < 0 || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        problem_text_ = str_cat(name, ": ", std::strerror(errno));
    };
    const bool root = plan_.drop_root;
    if (!root) put("setgroups", "deny");
    put("uid_map", str_cat(kNobody, " ", root ? kNobody : ::geteuid(), " 1"));
    put("gid_map", str_cat(kNobody, " ", root ? kNobody : ::getegid(), " 1"));
    if (problem_text_.empty() && ::write(go_.write.get(), "g", 1) != 1) problem_text_ = "the child did not wait";
  }

  // Reads what the program writes until it ends or a limit is reached; the status of waitpid.
  int follow(Clock::time_point begin, SandboxResult& result) {
    if (pid_ < 0) return -1;
    const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    const auto deadline = begin + std::chrono::duration<double>(options_.wall_seconds);
    bool ended = false;
    while (!ended && problem_text_.empty()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) {
        result.end = SandboxResult::End::kWallLimit;
        break;
      }
      std::array<pollfd, 3> ready{pollfd{process.get(), POLLIN, 0}, pollfd{out_.read.get(), POLLIN, 0},
                                  pollfd{err_.read.get(), POLLIN, 0}};
      // Without a descriptor of the process (old kernels) look again soon.
      const int most = process.get() < 0 ? 10 : 1000;
      if (::poll(ready.data(), ready.size(), static_cast<int>(std::min<std::int64_t>(left + 1, most))) < 0 &&
          errno != EINTR)
        break;
      siginfo_t info{};
      ended = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
      const bool fits = drain(out_.read, result.out, result) && drain(err_.read, result.err, result);
      if (!fits) {
        result.end = SandboxResult::End::kOutputLimit;
        break;
      }
    }
    // Children of the program share its group, which they cannot leave; namespaces end with their first process.
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  // False when there is more output than may be.
  bool drain(Descriptor& pipe, std::string& text, const SandboxResult& result) {
    const std::size_t most = static_cast<std::size_t>(options_.output_kb) << 10;
    std::array<char, 16384> block{};
    while (pipe.get() >= 0) {
      pollfd ready{pipe.get(), POLLIN, 0};
      if (::poll(&ready, 1, 0) <= 0) return true;
      const ssize_t n = ::read(pipe.get(), block.data(), block.size());
      if (n <= 0) {
        pipe.close();
        return true;
      }
      const std::size_t room = most - std::min(most, result.out.size() + result.err.size());
      text.append(block.data(), std::min(room, static_cast<std::size_t>(n)));
      if (static_cast<std::size_t>(n) > room) return false;
    }
    return true;
  }

  void judge(int status, SandboxResult& result) {
    std::array<char, 256> text{};
    if (const ssize_t n = ::read(problem_.read.get(), text.data(), text.size()); n > 0 && problem_text_.empty())
      problem_text_.assign(text.data(), static_cast<std::size_t>(n));
    if (problem_text_.empty() && plan_.exec_only && result.err.starts_with("bwrap: ")) problem_text_ = result.err;
    if (!problem_text_.empty()) {
      result.end = SandboxResult::End::kNotStarted;
      result.err = problem_text_;
    } else if (result.end == SandboxResult::End::kNotStarted) {
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      // bubblewrap and the first process of the namespace hand a signal on as 128 + its number.
      result.end = code > 128 ? SandboxResult::End::kSignal : SandboxResult::End::kExited;
      result.code = code > 128 ? code - 128 : code;
      if (result.end == SandboxResult::End::kSignal && result.code == SIGXCPU)
        result.end = SandboxResult::End::kCpuLimit;
    }
  }

  const SandboxOptions& options_;
  const SandboxJob& job_;
  SandboxPlan plan_;
  std::vector<std::string> arguments_;
  std::vector<Descriptor> contents_;
  Descriptor input_;
  Pipe out_, err_, problem_, go_;
  pid_t pid_ = -1;
  std::string problem_text_;
};

}  // namespace

std::string_view end_name(SandboxResult::End end) {
  constexpr std::array<std::string_view, 6> kNames{"exited",    "killed by a signal", "wall time limit",
                                                   "CPU limit", "too much output",    "not started"};
  return kNames[static_cast<std::size_t>(end)];
}

Sandbox::Sandbox(const SandboxOptions& options) : options_(options) {
  HADAL_CHECK(options.wall_seconds > 0 && options.cpu_seconds > 0 && options.memory_mb > 0 && options.scratch_mb > 0 &&
                  options.processes > 0 && options.open_files > 3 && options.output_kb > 0,
              "sandbox: limits must be positive, and open_files more than 3");
  std::vector<std::string> walls{options.isolation};
  if (options.isolation == "auto") walls = {"bubblewrap", "namespaces"};
  if (options.allow_unsafe && options.isolation == "auto") walls.emplace_back("none");
  HADAL_CHECK(options.isolation != "none" || options.allow_unsafe,
              "sandbox: isolation none runs untrusted code with your rights; say so with allow_unsafe");
  std::string problems;
  for (const std::string& wall : walls) {
    options_.isolation = wall;
    const SandboxResult probe = run({.argv = {"/usr/bin/true"}});
    if (probe.ok()) {
      if (wall == "none") log_warning("sandbox: no walls; untrusted code runs with the rights of this user");
      return;
    }
    problems += str_cat(problems.empty() ? "" : "; ", wall, ": ", end_name(probe.end), " ", probe.code, " ", probe.err);
  }
  fail("sandbox: code cannot be isolated on this machine (", problems,
       "); install bubblewrap or allow user namespaces, or "
       "accept the risk with allow_unsafe");
}

SandboxResult Sandbox::run(const SandboxJob& job) const {
  check_job(job);
  return Run(options_, job).result();
}

std::vector<std::string> Sandbox::layers() const {
  std::vector<std::string> layers;
  if (isolation() == "none") {
    layers.emplace_back("NO isolation of files and processes");
  } else {
    layers.push_back(str_cat("namespaces of users, processes, mounts, network and IPC (", isolation(), ")"));
    layers.push_back(
        str_cat("file system: /usr read-only, /dev/null, ", options_.scratch_mb, " MB of scratch in memory"));
    layers.emplace_back("no capabilities");
  }
  layers.emplace_back(::geteuid() == 0 ? "user nobody, no new privileges" : "no new privileges");
  layers.emplace_back("seccomp list of system calls, without network");
  layers.push_back(str_cat("limits: ", options_.wall_seconds, " s wall, ", options_.cpu_seconds, " s CPU, ",
                           options_.memory_mb, " MB of memory a process, ", options_.processes, " processes, ",
                           options_.open_files, " files, ", options_.output_kb, " KB of output"));
  return layers;
}

}  // namespace hadal
