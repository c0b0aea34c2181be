// Programs that want out. Every wall that works on this machine gets all of them.
#include "data/tasks/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

#include "data/tasks/code_grader.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using End = SandboxResult::End;

class SandboxTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!has_python()) GTEST_SKIP() << "no python3 here";
    try {
      sandbox_.emplace(options());
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  static SandboxOptions options() {
    return {.isolation = GetParam(),
            .wall_seconds = 60,
            .cpu_seconds = 4,
            .memory_mb = 128,
            .scratch_mb = 4,
            .processes = 8};
  }
  SandboxResult python(const std::string& code, const std::string& input = "") const {
    return python(*sandbox_, code, input);
  }
  static SandboxResult python(const Sandbox& sandbox, const std::string& code, const std::string& input = "") {
    return sandbox.run(
        {.argv = {"/usr/bin/python3", "-I", "-S", "main.py"}, .files = {{"main.py", code}}, .input = input});
  }
  /// What the code prints in the sandbox; its errors when it fails.
  std::string says(const std::string& code) const {
    const SandboxResult result = python(code);
    return result.ok() ? result.out : std::string(end_name(result.end)) + ": " + result.err;
  }

  std::optional<Sandbox> sandbox_;
};

TEST_P(SandboxTest, RunsProgramsWithFilesAndInput) {
  const SandboxResult result =
      python("import sys\nprint(sys.stdin.read() + '!')\nsys.stderr.write('e')\nsys.exit(3)\n", "hello");
  EXPECT_EQ(result.end, End::kExited);
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "hello!\n");
  EXPECT_EQ(result.err, "e");
  EXPECT_EQ(says("open('a', 'w').write('x' * 1000); print(len(open('a').read()))"), "1000\n");
  EXPECT_EQ(says("import os; print(sorted(set(os.environ) - {'PWD'}), os.getcwd(), os.getuid())"),
            "['HOME', 'LANG', 'PATH'] /box 65534\n");
  EXPECT_EQ(says("import subprocess; print(subprocess.run(['/usr/bin/echo', 'a'], capture_output=True).stdout)"),
            "b'a\\n'\n");
  EXPECT_EQ(says("import threading\nt = threading.Thread(target=lambda: print(1)); t.start(); t.join()"), "1\n");
}

TEST_P(SandboxTest, SeesNothingOfTheMachine) {
  const TempDir folder;
  std::ofstream(folder / "secret") << "secret";
  const int leaky = ::open((folder / "secret").c_str(), O_RDONLY);  // without O_CLOEXEC
  EXPECT_NE(says(str_cat("print(open('", (folder / "secret").string(), "').read())")).find("No such file"),
            std::string::npos);
  EXPECT_EQ(says("import os; print(sorted(os.listdir('/')))"), "['bin', 'box', 'dev', 'lib', 'lib64', 'usr']\n");
  EXPECT_EQ(says("import os; print(os.listdir('/dev'), os.path.exists('/proc/self'))"), "['null'] False\n");
  // Only the scratch folder takes files; nothing of them is there the next time.
  for (const char* path : {"/usr/x", "/x", "/dev/x", "/usr/bin/python3", "/lib/x"})
    EXPECT_NE(says(str_cat("open('", path, "', 'a')")).find("Error"), std::string::npos) << path;
  EXPECT_EQ(says("import os; open('kept', 'w'); print(sorted(os.listdir('.')))"), "['kept', 'main.py']\n");
  EXPECT_EQ(says("import os; print(os.listdir('.'))"), "['main.py']\n");
  // Links lead nowhere: there is nothing outside.
  EXPECT_NE(says("import os; os.symlink('/etc/passwd', 'l'); open('l')").find("No such file"), std::string::npos);
  EXPECT_NE(says("import os; os.symlink('../../../../etc/passwd', 'l'); open('l')").find("No such file"),
            std::string::npos);
  // Open descriptors of the caller are not handed on.
  EXPECT_EQ(
      says("import os\nn = 0\nfor fd in range(3, 60):\n  try: os.fstat(fd); n += 1\n  except OSError: pass\nprint(n)"),
      "0\n");
  ::close(leaky);
}

TEST_P(SandboxTest, HasNoNetworkAndNoPrivileges) {
  EXPECT_NE(says("import socket; socket.socket(socket.AF_INET)").find("Function not implemented"), std::string::npos);
  EXPECT_NE(says("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)").find("not implemented"),
            std::string::npos);
  EXPECT_NE(says("import os; os.setuid(0)").find("Error"), std::string::npos);
  EXPECT_NE(says("import os; os.chroot('/box')").find("Error"), std::string::npos);
  EXPECT_NE(says("import os; os.setsid()").find("Error"), std::string::npos);
  // unshare, mount, ptrace, bpf, memfd_create, keyctl, userfaultfd, io_uring_setup, shmget, by number.
#if defined(__x86_64__)
  EXPECT_EQ(says("import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n"
                 "for n in (272, 165, 101, 321, 319, 250, 323, 425, 29, 0x40000000 + 39):\n"
                 "  r = c.syscall(n, 0, 0, 0, 0); print(r, ctypes.get_errno(), end=' ')"),
            "-1 38 -1 38 -1 38 -1 38 -1 38 -1 38 -1 38 -1 38 -1 38 -1 38 ");
  // clone with a new user namespace
  EXPECT_EQ(says("import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nprint(c.syscall(56, 0x10000011, 0, 0, 0, 0), "
                 "ctypes.get_errno())"),
            "-1 38\n");
#endif
}

TEST_P(SandboxTest, EndlessThingsEnd) {
  const SandboxOptions fast{.isolation = GetParam(), .wall_seconds = 0.5, .cpu_seconds = 1, .processes = 8};
  const Sandbox sandbox(fast);
  EXPECT_EQ(python(sandbox, "while True: pass").end, End::kWallLimit);
  const Sandbox patient({.isolation = GetParam(), .wall_seconds = 300, .cpu_seconds = 1});
  EXPECT_EQ(python(patient, "while True: pass").end, End::kCpuLimit);
  EXPECT_EQ(python(sandbox, "import time; time.sleep(60)").end, End::kWallLimit);
  const SandboxResult output = python(patient, "while True: print('x' * 1000)");
  EXPECT_EQ(output.end, End::kOutputLimit);
  EXPECT_LE(output.out.size(), 64U << 10);
  // Signals are no way to stay.
  EXPECT_EQ(python(sandbox,
                   "import signal, time\nfor s in range(1, 65):\n  try: signal.signal(s, signal.SIG_IGN)\n  except "
                   "Exception: pass\n"
                   "time.sleep(60)")
                .end,
            End::kWallLimit);
}

TEST_P(SandboxTest, BombsAreContained) {
  EXPECT_NE(says("x = bytearray(1 << 30)").find("MemoryError"), std::string::npos);
  EXPECT_NE(says("x = []\nwhile True: x.append(bytearray(1 << 20))").find("MemoryError"), std::string::npos);
  EXPECT_NE(says("f = open('big', 'wb')\nwhile True: f.write(bytes(1 << 20))").find("Error"), std::string::npos);
  EXPECT_NE(
      says("import os\nfor i in range(100):\n  with open(str(i), 'wb') as f: f.write(bytes(1 << 20))").find("No space"),
      std::string::npos);
  // Forks stop at the limit, and nobody outlives the first process.
  EXPECT_EQ(says("import os, time\nn = 0\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(100)\n    n += 1\n  "
                 "except OSError: break\n"
                 "print(n < 8)"),
            "True\n");
  const Sandbox sandbox({.isolation = GetParam(), .wall_seconds = 1, .processes = 8});
  const SandboxResult bomb = python(sandbox, "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\n");
  EXPECT_EQ(bomb.end, End::kWallLimit) << end_name(bomb.end);
  EXPECT_EQ(says("print('still here')"), "still here\n");
}

TEST_P(SandboxTest, ProgramsCannotReachEachOtherOrTheCaller) {
  EXPECT_EQ(says("import os, signal\nn = 0\nfor p in list(range(3, 3000)) + [-1]:\n  try: os.kill(p, 0); n += p != "
                 "os.getpid() and p > 0\n"
                 "  except OSError: pass\nprint(n)"),
            "0\n");
  EXPECT_EQ(python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").end, End::kSignal);
  // Killing all there is to kill ends the program, not this one.
  python("import os, signal; os.kill(-1, signal.SIGKILL)");
  python("import os, signal; os.kill(1, signal.SIGKILL); os.kill(0, signal.SIGKILL)");
  EXPECT_EQ(says("print(1)"), "1\n");
}

TEST_P(SandboxTest, ManyAtOnce) {
  std::array<std::string, 4> out;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < out.size(); ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 3; ++k) out[i] += says(str_cat("print(", i, ")"));
    });
  for (std::thread& t : threads) t.join();
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], str_cat(i, "\n", i, "\n", i, "\n"));
}

TEST_P(SandboxTest, StrangeJobs) {
  EXPECT_EQ(sandbox_->run({.argv = {"/usr/bin/no-such-program"}}).ok(), false);
  EXPECT_NE(error_of([&] { sandbox_->run({.argv = {"python3"}}); }).find("absolute path"), std::string::npos);
  EXPECT_NE(error_of([&] { sandbox_->run({.argv = {"/usr/bin/true"}, .files = {{"../x", ""}}}); }).find("plain name"),
            std::string::npos);
  EXPECT_GE(sandbox_->layers().size(), 5U);
}

INSTANTIATE_TEST_SUITE_P(Walls, SandboxTest, testing::Values("bubblewrap", "namespaces"),
                         [](const auto& wall) { return std::string(wall.param); });

TEST(Sandbox, RefusesWithoutWalls) {
  EXPECT_NE(error_of([] { Sandbox({.isolation = "none"}); }).find("allow_unsafe"), std::string::npos);
  EXPECT_NE(error_of([] { Sandbox({.wall_seconds = 0}); }).find("positive"), std::string::npos);
  const Sandbox unsafe({.isolation = "none", .allow_unsafe = true});
  EXPECT_TRUE(unsafe.run({.argv = {"/usr/bin/true"}}).ok());
  EXPECT_NE(unsafe.layers().at(0).find("NO isolation"), std::string::npos);
}

}  // namespace
}  // namespace hadal
