#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace hadal {

/// While it lives, a mapped file may be cut short by others without the end of this process: the system's SIGBUS on the
/// missing pages is answered with pages of zeros, and cut_short() tells. Who computes with mapped bytes asks before the
/// result leaves.
class MappingGuard {
 public:
  MappingGuard() = default;
  MappingGuard(std::span<const std::byte> mapping, const std::filesystem::path& path);
  ~MappingGuard();
  MappingGuard(MappingGuard&& other) noexcept;
  MappingGuard& operator=(MappingGuard&& other) noexcept;

 private:
  int slot_ = -1;
};

/// A file that lost bytes which this process then read; empty: none so far. From any thread.
std::string_view cut_short();
/// Throws Error when there is one.
void check_mapped_files();

}  // namespace hadal
