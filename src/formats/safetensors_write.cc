#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/safetensors.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

index_t bytes_of(const TensorToWrite& t) {
  return bytes_of(t.dtype, t.data.rows * t.data.cols);
}

void check(const TensorToWrite& t) {
  index_t count = 1;
  for (const index_t dimension : t.shape) count *= dimension;
  HADAL_CHECK(count == t.data.rows * t.data.cols, t.name, ": shape holds ", count, " values, its view ", t.data.rows,
              " x ", t.data.cols);
  HADAL_CHECK(!t.name.empty() && t.name != "__metadata__", "safetensors: no tensor may be called \"", t.name, "\"");
  const DType from = t.data.dtype;
  HADAL_CHECK(from == t.dtype || ((is_float(from) || from == DType::kF64) && is_float(t.dtype)), t.name,
              ": cannot turn ", dtype_name(from), " into ", dtype_name(t.dtype));
  safetensors_dtype_name(t.dtype);
}

float as_float(float v) {
  return v;
}
float as_float(double v) {
  return static_cast<float>(v);
}
float as_float(bf16 v) {
  return to_f32(v);
}
float as_float(f16 v) {
  return to_f32(v);
}

template <class From>
void convert(std::byte* to, DType dtype, std::span<const From> from) {
  auto each = [&](auto one) {
    using To = decltype(one(0.0F));
    To* out = reinterpret_cast<To*>(to);
    for (std::size_t i = 0; i < from.size(); ++i) out[i] = one(as_float(from[i]));
  };
  if (dtype == DType::kF32) each([](float v) { return v; });
  if (dtype == DType::kBF16) each([](float v) { return to_bf16(v); });
  if (dtype == DType::kF16) each([](float v) { return to_f16(v); });
}

void write_values(AtomicFile& file, const TensorToWrite& t) {
  const ConstView& v = t.data;
  if (v.rows == 0 || v.cols == 0) return;
  if (v.dtype == t.dtype && v.contiguous()) {
    file.write(std::span(v.data, static_cast<std::size_t>(bytes_of(t))));
    return;
  }
  // Pieces of rows, collected until a buffer is full.
  constexpr index_t kPiece = 1 << 16, kBufferBytes = 1 << 20;
  std::vector<std::byte> buffer(kBufferBytes + kPiece * 8);
  std::size_t used = 0;
  for (index_t r = 0; r < v.rows; ++r) {
    for (index_t c = 0; c < v.cols; c += kPiece) {
      const ConstView piece = v.slice_rows(r, 1).slice_cols(c, std::min(kPiece, v.cols - c));
      if (v.dtype == t.dtype)
        std::memcpy(buffer.data() + used, piece.data, static_cast<std::size_t>(hadal::bytes_of(v.dtype, piece.cols)));
      else if (v.dtype == DType::kF64)
        convert(buffer.data() + used, t.dtype, piece.flat<double>());
      else if (v.dtype == DType::kF32)
        convert(buffer.data() + used, t.dtype, piece.flat<float>());
      else if (v.dtype == DType::kBF16)
        convert(buffer.data() + used, t.dtype, piece.flat<bf16>());
      else
        convert(buffer.data() + used, t.dtype, piece.flat<f16>());
      used += static_cast<std::size_t>(hadal::bytes_of(t.dtype, piece.cols));
      if (used < static_cast<std::size_t>(kBufferBytes)) continue;
      file.write(std::span(buffer.data(), used));
      used = 0;
    }
  }
  file.write(std::span(buffer.data(), used));
}

std::string header_text(const std::vector<TensorToWrite>& tensors, const std::map<std::string, std::string>& metadata) {
  std::map<std::string, std::string> entries;
  index_t offset = 0;
  for (const TensorToWrite& t : tensors) {
    const index_t end = offset + bytes_of(t);
    const bool is_new =
        entries
            .emplace(t.name, fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                         safetensors_dtype_name(t.dtype), fmt::join(t.shape, ","), offset, end))
            .second;
    HADAL_CHECK(is_new, "safetensors: ", t.name, " is given twice");
    offset = end;
  }
  std::string text = "{";
  auto add = [&](std::string_view key, std::string_view value) {
    if (text.size() > 1) text += ',';
    append_json_string(text, key);
    text.append(":").append(value);
  };
  if (!metadata.empty()) {
    JsonObject object;
    for (const auto& [key, value] : metadata) object[key] = value;
    add("__metadata__", json_line(object));
  }
  for (const auto& [name, entry] : entries) add(name, entry);
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

/// The layer of "model.layers.12.mlp.gate.weight" is 12; tensors outside of layers have -1.
int layer_of(const std::string& name) {
  constexpr std::string_view kPrefix = "model.layers.";
  int layer = -1;
  if (name.starts_with(kPrefix)) std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return layer;
}

/// Fills shards in the order of layers; a layer that fits into one shard is not cut.
std::vector<std::vector<TensorToWrite>> split(std::vector<TensorToWrite> tensors, index_t max_shard_bytes) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    return std::pair(layer_of(a.name), std::string_view(a.name)) <
           std::pair(layer_of(b.name), std::string_view(b.name));
  });
  std::vector<std::vector<TensorToWrite>> shards(1);
  index_t used = 0;
  auto start_shard = [&] {
    if (!shards.back().empty()) shards.emplace_back();
    used = 0;
  };
  for (std::size_t i = 0; i < tensors.size();) {
    const int layer = layer_of(tensors[i].name);
    std::size_t end = i + 1;
    index_t bytes = bytes_of(tensors[i]);
    for (; layer >= 0 && end < tensors.size() && layer_of(tensors[end].name) == layer; ++end)
      bytes += bytes_of(tensors[end]);
    if (used + bytes > max_shard_bytes && bytes <= max_shard_bytes) start_shard();
    for (; i < end; ++i) {
      const index_t size = bytes_of(tensors[i]);
      if (used + size > max_shard_bytes) start_shard();
      shards.back().push_back(std::move(tensors[i]));
      used += size;
    }
  }
  return shards;
}

bool is_shard_name(std::string_view name) {
  return name.starts_with("model-") && name.ends_with(".safetensors") && name.find("-of-") != std::string_view::npos;
}

/// Removes weight files of an earlier, differently split model.
void remove_others(const fs::path& folder, const std::set<std::string>& keep) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool weights = name == "model.safetensors" || name == "model.safetensors.index.json" || is_shard_name(name);
    if (weights && !keep.contains(name)) fs::remove(entry.path());
  }
}

}  // namespace

void write_safetensors(const fs::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  for (const TensorToWrite& t : tensors) check(t);
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    return std::pair(-bits_of(a.dtype), std::string_view(a.name)) <
           std::pair(-bits_of(b.dtype), std::string_view(b.name));
  });
  const std::string header = header_text(tensors, metadata);
  AtomicFile file(path);
  const std::uint64_t header_bytes = header.size();
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(header);
  for (const TensorToWrite& t : tensors) write_values(file, t);
  file.commit();
}

void write_safetensors_folder(const fs::path& folder, std::vector<TensorToWrite> tensors, index_t max_shard_bytes) {
  HADAL_CHECK(max_shard_bytes > 0, "safetensors: got shards of ", max_shard_bytes, " bytes, want more than 0");
  fs::create_directories(folder);
  for (const TensorToWrite& t : tensors) check(t);
  index_t total = 0;
  for (const TensorToWrite& t : tensors) total += bytes_of(t);
  std::vector<std::vector<TensorToWrite>> shards = split(std::move(tensors), max_shard_bytes);
  if (shards.size() == 1) {
    write_safetensors(folder / "model.safetensors", std::move(shards[0]));
    remove_others(folder, {"model.safetensors"});
    return;
  }
  const fs::path index_path = folder / "model.safetensors.index.json";
  // An old index over new shards would be a wrong model; without an index there is none, which is noticed.
  fs::remove(index_path);
  std::map<std::string, std::string> place;
  std::set<std::string> keep = {index_path.filename().string()};
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    for (const TensorToWrite& t : shards[i])
      HADAL_CHECK(place.emplace(t.name, name).second, "safetensors: ", t.name, " is given twice");
    keep.insert(name);
    write_safetensors(folder / name, std::move(shards[i]));
  }
  JsonObject weight_map;
  for (const auto& [name, file] : place) weight_map[name] = file;
  write_file_atomically(index_path, json_pretty(JsonObject{{"metadata", JsonObject{{"total_size", total}}},
                                                           {"weight_map", std::move(weight_map)}}));
  remove_others(folder, keep);
}

}  // namespace hadal
