#pragma once
// What happens in the new process between fork and exec. Other threads of this program may hold any lock at that
// moment, so nothing here allocates: everything is prepared in a plan.
#include <linux/filter.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hadal {

struct SandboxPlan {
  bool namespaces = false;                            // build the walls here; otherwise only limits and the filter
  bool exec_only = false;                             // exec at once: bubblewrap does the rest
  bool drop_root = false;                             // become nobody: limits on processes do not bind root
  std::string scratch_size;                           // mount option of tmpfs
  std::string folder;                                 // working folder when there are no namespaces
  std::vector<std::pair<std::string, int>> files;     // path in the new root, and the descriptor that holds the content
  std::vector<std::pair<int, std::uint64_t>> limits;  // resource, value
  std::vector<sock_filter> filter;
  std::vector<const char*> argv, environment;  // end with nullptr
  int input = -1, output = -1, errors = -1;    // become 0, 1, 2
  int problem = -1;                            // where a failure before exec is written to; closed by exec
  int go = -1;                                 // namespaces: readable once the ids are mapped
  std::vector<int> keep;                       // exec_only: descriptors that stay open
};

/// The child's side; does not return. With namespaces the caller has made the new ones with the process.
[[noreturn]] void run_sandbox_child(const SandboxPlan& plan);

/// The user and group that programs run as.
inline constexpr unsigned kNobody = 65534;

}  // namespace hadal
