#pragma once
// The safetensors container: 8-byte header length, JSON header, raw data. Files are untrusted: every size and offset is
// checked before it is used.
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/view.h"

namespace hadal {

class MappedFile;

/// "F32", "BF16", "F8_E4M3" ... Throws Error for a dtype that the container has no name for (e5m6, i4).
std::string_view safetensors_dtype_name(DType dtype);

struct StoredTensor {
  DType dtype = DType::kF32;
  std::vector<index_t> shape;
  const std::byte* data = nullptr;   // aligned to the element; lives as long as its file object; little endian
  const MappedFile* file = nullptr;  // that it lies in; nullptr: in memory
  index_t count() const;
  index_t bytes() const { return bytes_of(dtype, count()); }
  /// Up to two dimensions as rows x cols (a vector is one row, a scalar 1 x 1). Throws Error on more.
  ConstView view() const;
};

/// One file, memory-mapped. Throws Error on anything malformed: truncated header, bad JSON, unknown dtype, negative or
/// overflowing shape, overlapping, out-of-range or leftover bytes, duplicate names. Tensors that the file places at an
/// address their element cannot have are copied; all others stay in the file.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  /// The same from memory that outlives this object. `where` names the source in messages.
  SafetensorsFile(std::span<const std::byte> bytes, std::string_view where);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  const std::map<std::string, StoredTensor>& tensors() const;
  const std::map<std::string, std::string>& metadata() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// All tensors of a folder: model.safetensors, else the shards that model.safetensors.index.json names. Throws Error
/// when there is neither and when the index and the shards disagree.
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

/// Writes one file: header sorted by name; data without gaps, wide elements first, so each tensor is aligned to its
/// element. To a temporary name, synced, then renamed (base/file.h). `dtype` of an entry may differ from its view's:
/// f64, f32, bf16 and f16 become f32, bf16 or f16 on the way (through f32, nearest even). Throws Error on equal names,
/// on a shape that does not fit its view and on other conversions.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
/// Writes model.safetensors, or shards of at most max_shard_bytes with their index (index last). A layer stays in one
/// shard when it fits. Creates the folder; weights of an earlier call that are no longer in use are removed. For a
/// folder that must stay whole through a crash, write to a new folder and rename it.
void write_safetensors_folder(const std::filesystem::path& folder, std::vector<TensorToWrite> tensors,
                              index_t max_shard_bytes = index_t{4} << 30);

}  // namespace hadal
