#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace hadal {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is used in place");

constexpr std::array<std::pair<std::string_view, DType>, 12> kDtypes = {{{"F64", DType::kF64},
                                                                         {"F32", DType::kF32},
                                                                         {"F16", DType::kF16},
                                                                         {"BF16", DType::kBF16},
                                                                         {"F8_E4M3", DType::kE4M3},
                                                                         {"F8_E5M2", DType::kE5M2},
                                                                         {"F8_E8M0", DType::kUE8M0},
                                                                         {"I64", DType::kI64},
                                                                         {"I32", DType::kI32},
                                                                         {"I16", DType::kI16},
                                                                         {"I8", DType::kI8},
                                                                         {"U8", DType::kU8}}};

// The reference implementation of the format has the same limit.
constexpr index_t kMaxHeaderBytes = 100'000'000;
constexpr index_t kMaxDimension = index_t{1} << 48;
constexpr std::size_t kMaxDimensions = 8;

std::optional<DType> find_dtype(std::string_view name) {
  for (const auto& [known, dtype] : kDtypes)
    if (known == name) return dtype;
  return std::nullopt;
}

/// The product of the dimensions, or nothing when its bytes do not fit.
std::optional<index_t> count_of(const std::vector<index_t>& shape) {
  constexpr index_t kMaxCount = index_t{1} << 56;  // 2^62 bits of f64
  index_t count = 1;
  for (const index_t dimension : shape)
    if (__builtin_mul_overflow(count, dimension, &count) || count > kMaxCount) return std::nullopt;
  return count;
}

struct Range {
  index_t begin, end;
  const std::string* name;
};

/// One entry of the header. The bytes of `tensor` are checked against the length that dtype and shape ask for.
Range read_entry(ObjectReader& entry, const std::string& name, std::span<const std::byte> data, StoredTensor& tensor) {
  const std::optional<DType> dtype = find_dtype(entry.get<std::string>("dtype"));
  if (!dtype) entry.reject("dtype", "F64|F32|F16|BF16|F8_E4M3|F8_E5M2|F8_E8M0|I64|I32|I16|I8|U8");
  tensor.dtype = *dtype;
  auto integers = [&](std::string_view key, std::size_t most, index_t high) {
    const Json& value = entry.value(key);
    if (!value.is_array() || value.get_array().size() > most) entry.reject(key, str_cat("up to ", most, " integers"));
    std::vector<index_t> result;
    for (const Json& item : value.get_array()) {
      result.push_back(json_as<std::int64_t>(item, entry.at(key)));
      if (result.back() < 0 || result.back() > high) entry.reject(key, str_cat("integers in [0, ", high, "]"));
    }
    return result;
  };
  const auto size = static_cast<index_t>(data.size());
  tensor.shape = integers("shape", kMaxDimensions, kMaxDimension);
  const std::vector<index_t> offsets = integers("data_offsets", 2, size);
  entry.finish();
  const std::optional<index_t> count = count_of(tensor.shape);
  if (!count) entry.reject("shape", "a size that fits into memory");
  if (offsets.size() != 2 || offsets[0] > offsets[1]) entry.reject("data_offsets", "[begin, end], begin <= end");
  const index_t bytes = bytes_of(tensor.dtype, *count);
  if (offsets[1] - offsets[0] != bytes)
    entry.reject("data_offsets", str_cat(bytes, " bytes, as dtype and shape ask for"));
  tensor.data = data.data() + offsets[0];
  return {offsets[0], offsets[1], &name};
}

/// The ranges must cover [0, size) without gaps and overlaps.
void check_ranges(std::vector<Range> ranges, index_t size, const std::string& where) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  index_t covered = 0;
  for (const Range& r : ranges) {
    HADAL_CHECK(r.begin == covered, where, ": ", *r.name, ": data starts at ", r.begin, ", want ", covered,
                r.begin < covered ? " (overlap)" : " (gap)");
    covered = r.end;
  }
  HADAL_CHECK(covered == size, where, ": ", size - covered, " bytes of data belong to no tensor");
}

}  // namespace

std::string_view safetensors_dtype_name(DType dtype) {
  for (const auto& [name, known] : kDtypes)
    if (known == dtype) return name;
  fail("safetensors: the format cannot hold ", dtype_name(dtype));
}

index_t StoredTensor::count() const {
  index_t count = 1;
  for (const index_t dimension : shape) count *= dimension;
  return count;
}

ConstView StoredTensor::view() const {
  HADAL_CHECK(shape.size() <= 2, "tensor: got ", shape.size(), " dimensions, want at most 2");
  const index_t cols = shape.empty() ? 1 : shape.back();
  const index_t rows = shape.size() == 2 ? shape[0] : 1;
  return {data, dtype, rows, cols, cols};
}

struct SafetensorsFile::Impl {
  std::optional<MappedFile> file;
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<std::vector<std::byte>> copies;  // of misaligned tensors

  void read(std::span<const std::byte> bytes, const std::string& where);
};

void SafetensorsFile::Impl::read(std::span<const std::byte> bytes, const std::string& where) {
  std::uint64_t header_bytes = 0;
  HADAL_CHECK(bytes.size() >= sizeof header_bytes, where, ": got ", bytes.size(), " bytes, want at least 8");
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  HADAL_CHECK(header_bytes <= bytes.size() - sizeof header_bytes, where, ": header of ", header_bytes,
              " bytes in a file of ", bytes.size());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof header_bytes, header_bytes);
  const std::span<const std::byte> data = bytes.subspan(sizeof header_bytes + header_bytes);
  // Depth 3: the header, an entry, its shape.
  const Json header = parse_json(text, where, {.max_bytes = kMaxHeaderBytes, .max_depth = 3});
  HADAL_CHECK(header.is_object(), where, ": header: got ", json_excerpt(header), ", want an object");

  std::vector<Range> ranges;
  for (const auto& [key, value] : header.get_object()) {
    const std::string name(key.data(), key.size());
    ObjectReader entry(value, where, name);
    if (name == "__metadata__") {
      for (const auto& [k, v] : value.get_object()) {
        const std::string meta_key(k.data(), k.size());
        metadata[meta_key] = json_as<std::string>(v, entry.at(meta_key));
      }
      continue;
    }
    const auto place = tensors.emplace(name, StoredTensor{}).first;
    ranges.push_back(read_entry(entry, place->first, data, place->second));
  }
  check_ranges(std::move(ranges), static_cast<index_t>(data.size()), where);

  for (auto& [name, tensor] : tensors) {
    tensor.file = file ? &*file : nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
    if (address % static_cast<std::size_t>(bytes_of(tensor.dtype, 1)) == 0) continue;
    const auto size = static_cast<std::size_t>(tensor.bytes());
    tensor.data = copies.emplace_back(tensor.data, tensor.data + size).data();
    tensor.file = nullptr;
  }
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  impl_->file.emplace(path);
  impl_->read(impl_->file->bytes(), path.string());
}
SafetensorsFile::SafetensorsFile(std::span<const std::byte> bytes, std::string_view where)
    : impl_(std::make_unique<Impl>()) {
  impl_->read(bytes, std::string(where));
}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
const std::map<std::string, StoredTensor>& SafetensorsFile::tensors() const {
  return impl_->tensors;
}
const std::map<std::string, std::string>& SafetensorsFile::metadata() const {
  return impl_->metadata;
}

SafetensorsFolder::SafetensorsFolder(const std::filesystem::path& folder) {
  const std::filesystem::path single = folder / "model.safetensors";
  const std::filesystem::path index_path = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(single)) {
    files_.emplace_back(single);
    tensors_ = files_.back().tensors();
    return;
  }
  HADAL_CHECK(std::filesystem::exists(index_path), folder.string(),
              ": holds neither model.safetensors nor model.safetensors.index.json");
  const std::string where = index_path.string();
  const Json json = read_json_file(index_path, {.max_bytes = kMaxHeaderBytes, .max_depth = 8});
  ObjectReader index(json, where);
  index.skip("metadata");  // total_size is advice; files in the wild disagree on what it counts
  const Json& weight_map = index.value("weight_map");
  ObjectReader names(weight_map, where, "weight_map");
  index.finish();

  std::set<std::string> shards;
  for (const auto& [key, value] : weight_map.get_object()) {
    const auto shard = names.get<std::string>({key.data(), key.size()});
    // A name from the outside must not lead out of the folder.
    if (shard.empty() || shard.front() == '.' || shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      names.reject({key.data(), key.size()}, "the name of a file in the same folder");
    shards.insert(shard);
  }
  for (const std::string& shard : shards) {
    const SafetensorsFile& file = files_.emplace_back(folder / shard);
    for (const auto& [name, tensor] : file.tensors()) {
      const Json* listed = weight_map.get_object().if_contains(name);
      HADAL_CHECK(listed != nullptr, (folder / shard).string(), ": ", name, ": not in the index");
      HADAL_CHECK(std::string_view(listed->get_string()) == shard, (folder / shard).string(), ": ", name,
                  ": the index places it in ", json_excerpt(*listed));
      tensors_.emplace(name, tensor);
    }
  }
  for (const auto& [key, value] : weight_map.get_object())
    HADAL_CHECK(tensors_.contains(std::string(key.data(), key.size())), where, ": ",
                std::string_view(key.data(), key.size()), ": not in ", json_excerpt(value));
}

}  // namespace hadal
