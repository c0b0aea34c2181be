#pragma once
// The safetensors container: 8-byte header length, JSON header, raw data. Files are untrusted: every size and offset is
// checked before it is used.
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensor/view.h"

namespace hadal {

struct StoredTensor {
  DType dtype = DType::kF32;
  std::vector<index_t> shape;
  const std::byte* data = nullptr;  // in a mapped file; little endian
  index_t count() const;
  index_t bytes() const { return bytes_of(dtype, count()); }
  /// One- and two-dimensional tensors as rows x cols (a vector is one row). Throws on more dimensions.
  ConstView view() const;
};

/// One file, memory-mapped. Throws Error on anything malformed: truncated header, bad JSON, unknown dtype, negative or
/// overflowing shape, overlapping, out-of-range or leftover bytes, duplicate names.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  const std::map<std::string, StoredTensor>& tensors() const;
  const std::map<std::string, std::string>& metadata() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// All tensors of a folder: model.safetensors, or the shards that model.safetensors.index.json names. Throws when the index
/// and the shards disagree.
class SafetensorsFolder {
 public:
  explicit SafetensorsFolder(const std::filesystem::path& folder);
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }

 private:
  std::vector<SafetensorsFile> files_;
  std::map<std::string, StoredTensor> tensors_;
};

struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<index_t> shape;
  ConstView data;  // rows may have a stride
};

/// Writes one file: names sorted, data 8-byte aligned, to a temporary name, synced, then renamed. `dtype` of an entry may
/// differ from its view's (f32 <-> bf16 <-> f16 are converted on the way).
void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
/// Writes model.safetensors, or shards of at most max_shard_bytes with their index (index last).
void write_safetensors_folder(const std::filesystem::path& folder, std::vector<TensorToWrite> tensors,
                              index_t max_shard_bytes = index_t{4} << 30);

}  // namespace hadal
