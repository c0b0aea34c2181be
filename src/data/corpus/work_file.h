#pragma once
// Files between the stages of data prepare: some arrays in one file that appears whole or not at all.
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace hadal {

/// Writes sections to `path`, with a checksum.
void write_work_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> sections);

template <class... Sections>
void write_work_sections(const std::filesystem::path& path, const Sections&... sections) {
  const std::span<const std::byte> all[] = {
      std::as_bytes(std::span(sections.data(), sections.size()))...,
  };
  write_work_file(path, all);
}

/// An open work file, mapped. It is the program's own, so what is checked is damage: size and checksum.
class WorkFile {
 public:
  explicit WorkFile(const std::filesystem::path& path);
  /// Section i as an array; aligned to 64 bytes.
  template <class T>
  std::span<const T> section(std::size_t i) const {
    static_assert(std::is_trivially_copyable_v<T>);
    HADAL_CHECK(i < sections_.size() && sections_[i].size() % sizeof(T) == 0, "work file: section ", i, " of ",
                sections_.size(), " is no array of ", sizeof(T), " bytes each");
    return {reinterpret_cast<const T*>(sections_[i].data()), sections_[i].size() / sizeof(T)};
  }
  std::string_view text(std::size_t i) const {
    const std::span<const char> chars = section<char>(i);
    return {chars.data(), chars.size()};
  }

 private:
  MappedFile file_;
  std::vector<std::span<const std::byte>> sections_;
};

}  // namespace hadal
