#pragma once
// Data that lives beside the repository. Tests that need it skip themselves when it is absent.
#include <cstdlib>
#include <filesystem>

namespace hadal {

/// The folder named by HADAL_SHARED, or shared/ beside the source folder; empty when there is none.
inline std::filesystem::path shared_dir() {
  if (const char* named = std::getenv("HADAL_SHARED"); named != nullptr && std::filesystem::is_directory(named))
    return named;
  const std::filesystem::path beside = std::filesystem::path(HADAL_SOURCE_DIR) / ".." / "shared";
  return std::filesystem::is_directory(beside) ? beside : std::filesystem::path();
}

}  // namespace hadal
