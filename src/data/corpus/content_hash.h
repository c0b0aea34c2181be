#pragma once
// One hash of several things: inputs, options, files.
#include <fmt/format.h>
#include <xxhash.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace hadal {

/// XXH3 of 128 bits over pieces of different kinds, without letting one run into the next.
class ContentHash {
 public:
  ContentHash() { XXH3_128bits_reset(state_); }
  ~ContentHash() { XXH3_freeState(state_); }
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void add(std::string_view bytes) {
    const std::uint64_t size = bytes.size();
    XXH3_128bits_update(state_, &size, sizeof size);
    XXH3_128bits_update(state_, bytes.data(), bytes.size());
  }
  void add_file(const std::filesystem::path& path) {
    const MappedFile mapped(path);
    add({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()});
    check_mapped_files();
  }
  std::string hex() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_);
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  XXH3_state_t* state_ = XXH3_createState();
};

}  // namespace hadal
