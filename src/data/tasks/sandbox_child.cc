#include "data/tasks/sandbox_child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace hadal {
namespace {

constexpr int kNotStartedCode = 125;

class Child {
 public:
  explicit Child(const SandboxPlan& plan) : plan_(plan) {}

  [[noreturn]] void run() {
    need(::setsid() >= 0 || errno == EPERM, "setsid");
    need(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PDEATHSIG");
    take_descriptors();
    if (plan_.exec_only) {
      if (plan_.drop_root) become_nobody(true);
      execute();
    }
    if (plan_.namespaces) {
      char byte;
      need(::read(plan_.go, &byte, 1) == 1, "maps of users");
      become_nobody(plan_.drop_root);
      build_root();
      keep_house();
    } else {
      if (plan_.drop_root) become_nobody(true);
      need(::chdir(plan_.folder.c_str()) == 0, "chdir");
    }
    confine();
    execute();
  }

 private:
  void need(bool condition, const char* what) const {
    if (condition) return;
    const char* const reason = ::strerrordesc_np(errno);
    for (const char* part : {what, ": ", reason == nullptr ? "failed" : reason})
      if (::write(plan_.problem, part, std::strlen(part)) < 0) break;
    ::_exit(kNotStartedCode);
  }

  void take_descriptors() const {
    need(::dup2(plan_.input, 0) >= 0 && ::dup2(plan_.output, 1) >= 0 && ::dup2(plan_.errors, 2) >= 0, "dup2");
    if (!plan_.exec_only) return;
    ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    for (const int fd : plan_.keep) need(::fcntl(fd, F_SETFD, 0) == 0, "fcntl");
  }

  void become_nobody(bool drop_groups) const {
    // The calls of libc would wait for threads that are not here.
    if (drop_groups) need(::syscall(SYS_setgroups, 0, nullptr) == 0, "setgroups");
    need(::syscall(SYS_setresgid, kNobody, kNobody, kNobody) == 0, "setresgid");
    need(::syscall(SYS_setresuid, kNobody, kNobody, kNobody) == 0, "setresuid");
    need(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PDEATHSIG");  // a change of user clears it
  }

  // A new root in memory: /usr read-only with the usual links into it, /dev/null, /box to write in.
  void build_root() const {
    need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
    need(::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m") == 0, "tmpfs");
    need(::chdir("/tmp") == 0, "chdir");
    need(::mkdir("usr", 0755) == 0 && ::mkdir("dev", 0755) == 0 && ::mkdir("box", 0755) == 0, "mkdir");
    need(::mount("/usr", "usr", nullptr, MS_BIND | MS_REC, nullptr) == 0, "/usr");
    set_flags("usr", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    for (const char* name : {"bin", "lib", "lib64"}) {
      char target[16] = "usr/";
      std::strcat(target, name);
      need(::symlink(target, name) == 0, "symlink");
    }
    const int null = ::open("dev/null", O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    need(null >= 0 && ::close(null) == 0 && ::mount("/dev/null", "dev/null", nullptr, MS_BIND, nullptr) == 0,
         "/dev/null");
    need(::mount("tmpfs", "box", "tmpfs", MS_NOSUID | MS_NODEV, plan_.scratch_size.c_str()) == 0, "scratch");
    for (const auto& [path, content] : plan_.files) write_file(path.c_str(), content);
    need(::syscall(SYS_pivot_root, ".", ".") == 0 && ::umount2(".", MNT_DETACH) == 0, "pivot_root");
    set_flags("/", 0, MOUNT_ATTR_RDONLY);
    need(::chdir("/box") == 0, "chdir");
  }
  void set_flags(const char* path, unsigned how, std::uint64_t flags) const {
    mount_attr attributes{};
    attributes.attr_set = flags;
    need(::syscall(SYS_mount_setattr, AT_FDCWD, path, how, &attributes, sizeof attributes) == 0, "mount_setattr");
  }
  // `path` is absolute in the new root, which is the working folder yet.
  void write_file(const char* path, int content) const {
    const int fd = ::open(path + 1, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);
    need(fd >= 0, "a file of the job");
    off_t at = 0;
    ssize_t sent = 0;
    while ((sent = ::sendfile(fd, content, &at, 1 << 20)) > 0) {
    }
    need(sent == 0 && ::close(fd) == 0, "a file of the job");
  }

  // The first process of a namespace gets no signals from inside and takes all others with it when it ends: it stays
  // here and waits; the program is its child.
  void keep_house() const {
    const long child = ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    need(child >= 0, "fork");
    if (child == 0) return;
    // Pipes must close when the program ends.
    ::syscall(SYS_close_range, 0U, ~0U, 0U);
    while (true) {
      int status = 0;
      const pid_t ended = ::waitpid(-1, &status, __WALL);
      if (ended == child) ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
      if (ended < 0 && errno != EINTR) ::_exit(kNotStartedCode);
    }
  }

  void confine() const {
    for (const auto& [resource, value] : plan_.limits) {
      // A second of CPU time between the signal that says why and the one that kills.
      const rlimit limit{value, resource == RLIMIT_CPU ? value + 1 : value};
      need(::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0, "setrlimit");
    }
    if (plan_.namespaces)
      for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        need(::prctl(PR_CAPBSET_DROP, capability) == 0, "capabilities");
    need(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
    ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    sock_fprog program{static_cast<unsigned short>(plan_.filter.size()), const_cast<sock_filter*>(plan_.filter.data())};
    need(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
  }

  [[noreturn]] void execute() const {
    // Signals that this program blocks or ignores are its own affair.
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int s : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(s, SIG_DFL);
    ::execve(plan_.argv[0], const_cast<char* const*>(plan_.argv.data()),
             const_cast<char* const*>(plan_.environment.data()));
    need(false, plan_.argv[0]);
    ::_exit(kNotStartedCode);
  }

  const SandboxPlan& plan_;
};

}  // namespace

void run_sandbox_child(const SandboxPlan& plan) {
  Child(plan).run();
}

}  // namespace hadal
