#pragma once
// What this program was built from. The definitions are written by cmake/git_hash.cmake at build time.
#include <string_view>

namespace hadal {

struct BuildInfo {
  std::string_view version;   // of the project, "0.1.0"
  std::string_view git_hash;  // with "-dirty" when files differed from the commit; "unknown" outside a repository
  std::string_view compiler;
  std::string_view build_type;  // "Release"
};
const BuildInfo& build_info();

}  // namespace hadal
