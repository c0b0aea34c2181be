#pragma once
// The GGUF container, versions 2 and 3, little endian: typed metadata and tensors, in one file or split over several.
// Files are untrusted: every length, count and offset is checked before it is used.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "formats/ggml_type.h"
#include "formats/gguf_value.h"

namespace hadal {

class MappedFile;

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::kF32;
  std::vector<index_t> dims;         // the file's order: dims[0] is the length of a row; up to four
  const std::byte* data = nullptr;   // lives as long as its GgufFile
  const MappedFile* file = nullptr;  // that it lies in; nullptr: in memory
  index_t count() const;
  index_t bytes() const { return ggml_bytes(type, count()); }
  /// The row-major shape, as Hugging Face files have it: dims from the last to the first.
  std::vector<index_t> shape() const { return {dims.rbegin(), dims.rend()}; }
};

/// One model: a file, memory-mapped, or all files of a split one. Throws Error on anything malformed: truncation,
/// counts and lengths beyond the file, unknown value or tensor types, arrays nested deeper than two, tensors that
/// overlap, leave the file or are not aligned, duplicate keys and names, pieces of a split that do not fit together.
class GgufFile {
 public:
  /// Of a split model, `path` is the first file (NAME-00001-of-0000N.gguf); the others are read from its folder.
  explicit GgufFile(const std::filesystem::path& path);
  /// A single file in memory that outlives this object and is aligned as its tensors are. `where` names it in messages.
  GgufFile(std::span<const std::byte> bytes, std::string_view where);
  ~GgufFile();
  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;

  /// The file's path, for messages.
  const std::string& where() const;
  int version() const;
  int num_files() const;
  const GgufMetadata& metadata() const;
  /// In the order of the file, split files one after the other.
  const std::vector<GgufTensor>& tensors() const;
  /// nullptr when there is none of that name.
  const GgufTensor* find_tensor(std::string_view name) const;
  /// Throws Error when there is none of that name.
  const GgufTensor& tensor(std::string_view name) const;

  /// The value of a key as one of the types of gguf_as; nothing when there is no such key. Throws Error when the value
  /// is of another kind or does not fit.
  template <class T>
  std::optional<T> find(std::string_view key) const {
    const GgufValue* value = find_value(key);
    if (value == nullptr) return std::nullopt;
    std::optional<T> converted = gguf_as<T>(*value);
    if (!converted) fail_kind(key, *value, kind_name<T>());
    return converted;
  }
  template <class T>
  T get_or(std::string_view key, T fallback) const {
    std::optional<T> value = find<T>(key);
    return value ? *std::move(value) : std::move(fallback);
  }
  /// Throws Error when the key is missing.
  template <class T>
  T get(std::string_view key) const {
    std::optional<T> value = find<T>(key);
    if (!value) fail_missing(key);
    return *std::move(value);
  }
  /// An array of strings without a copy. Throws Error when the key is missing or holds something else.
  const std::vector<std::string>& strings(std::string_view key) const;

 private:
  struct Impl;
  template <class T>
  static constexpr std::string_view kind_name() {
    if (std::is_same_v<T, bool>) return "a bool";
    if (std::is_same_v<T, int>) return "an integer of 32 bits";
    if (std::is_same_v<T, std::int64_t>) return "an integer";
    if (std::is_same_v<T, double>) return "a number";
    if (std::is_same_v<T, std::string>) return "a string";
    if (std::is_same_v<T, std::vector<std::string>>) return "an array of strings";
    return "an array of numbers";
  }
  const GgufValue* find_value(std::string_view key) const;
  [[noreturn]] void fail_missing(std::string_view key) const;
  [[noreturn]] void fail_kind(std::string_view key, const GgufValue& value, std::string_view wanted) const;
  std::unique_ptr<Impl> impl_;
};

/// Takes the bytes of a tensor, in as many pieces as the caller likes.
using GgufSink = std::function<void(std::span<const std::byte>)>;

struct GgufTensorToWrite {
  std::string name;
  GgmlType type = GgmlType::kF32;
  std::vector<index_t> dims;                        // the file's order
  std::function<void(const GgufSink& sink)> write;  // gives all bytes of the tensor, when its turn comes
};
/// A tensor whose bytes are in memory until the file is written.
GgufTensorToWrite gguf_tensor(std::string name, GgmlType type, std::vector<index_t> dims,
                              std::span<const std::byte> data);

using GgufPairs = std::vector<std::pair<std::string, GgufValue>>;

/// Writes a file of version 3: the metadata and the tensors in the order given, data at multiples of general.alignment
/// (32 when `metadata` has no such key). The file appears whole or not at all. Throws Error on duplicate keys or names,
/// on rows that are no whole blocks and when a tensor gives another number of bytes than its type and dims ask for.
void gguf_write(const std::filesystem::path& path, const GgufPairs& metadata,
                const std::vector<GgufTensorToWrite>& tensors);

}  // namespace hadal
