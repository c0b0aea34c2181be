#pragma once
#include <linux/filter.h>

#include <vector>

namespace hadal {

/// A seccomp program that lets through what computing in one folder needs (memory, files, threads, child processes,
/// time, sockets inside the machine) and answers ENOSYS to everything else: network, mounts, namespaces, tracing, keys,
/// kernel modules, BPF, shared memory outside the limits, leaving the process group.
std::vector<sock_filter> sandbox_filter();

}  // namespace hadal
