#include "data/tasks/sandbox_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace hadal {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the sandbox has no list of system calls for this architecture"
#endif

constexpr int kAllowed[] = {
    // memory
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_msync,
    SYS_mincore,
    // files
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_openat,
    SYS_close,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_chdir,
    SYS_fchdir,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_ftruncate,
    SYS_truncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_utimensat,
    SYS_umask,
    SYS_dup,
    SYS_dup3,
    SYS_fcntl,
    SYS_flock,
    SYS_ioctl,
    SYS_pipe2,
    SYS_sendfile,
    SYS_copy_file_range,
    SYS_fadvise64,
    // waiting
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_futex,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_sched_yield,
    // processes and threads; clone has a rule of its own
    SYS_execve,
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_waitid,
    SYS_kill,
    SYS_tgkill,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_rseq,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_prctl,
    SYS_prlimit64,
    SYS_getrlimit,
    SYS_getrusage,
    SYS_times,
    SYS_setitimer,
    SYS_getitimer,
    // signals
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_restart_syscall,
    // who and when
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_getpgid,
    SYS_getsid,
    SYS_uname,
    SYS_sysinfo,
    SYS_getcpu,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_getrandom,
    // inside the machine; socket has a rule of its own
    SYS_socketpair,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
#if defined(__x86_64__)
    // older forms that other architectures never had
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_rename,
    SYS_link,
    SYS_symlink,
    SYS_chmod,
    SYS_creat,
    SYS_dup2,
    SYS_pipe,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_fork,
    SYS_vfork,
    SYS_getpgrp,
    SYS_time,
    SYS_arch_prctl,
    SYS_alarm,
    SYS_pause,
#endif
};

constexpr std::uint32_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

void load(std::vector<sock_filter>& f, std::size_t offset) {
  f.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
}
void answer(std::vector<sock_filter>& f, std::uint32_t verdict) {
  f.push_back(BPF_STMT(BPF_RET | BPF_K, verdict));
}
// Skips so many instructions unless the loaded word passes the test.
void unless_skip(std::vector<sock_filter>& f, std::uint16_t test, std::uint32_t value, std::uint8_t skip) {
  f.push_back(BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), value, 0, skip));
}

}  // namespace

std::vector<sock_filter> sandbox_filter() {
  constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | ENOSYS;
  // Both architectures are little-endian: the low half of an argument comes first.
  constexpr std::size_t kFirstArgument = offsetof(seccomp_data, args);
  std::vector<sock_filter> f;
  load(f, offsetof(seccomp_data, arch));
  f.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  answer(f, SECCOMP_RET_KILL_PROCESS);
  load(f, offsetof(seccomp_data, nr));
  for (const int call : kAllowed) {
    unless_skip(f, BPF_JEQ, static_cast<std::uint32_t>(call), 1);
    answer(f, SECCOMP_RET_ALLOW);
  }
  // Processes and threads, but no namespaces. clone3 hides its flags in memory and is refused; libc then uses clone.
  unless_skip(f, BPF_JEQ, SYS_clone, 4);
  load(f, kFirstArgument);
  unless_skip(f, BPF_JSET, kNamespaces, 1);
  answer(f, kRefuse);
  answer(f, SECCOMP_RET_ALLOW);
  unless_skip(f, BPF_JEQ, SYS_socket, 3);
  load(f, kFirstArgument);
  unless_skip(f, BPF_JEQ, AF_UNIX, 1);
  answer(f, SECCOMP_RET_ALLOW);
  answer(f, kRefuse);
  return f;
}

}  // namespace hadal
