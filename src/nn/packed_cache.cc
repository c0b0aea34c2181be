#include "nn/packed_cache.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/json.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "nn/weights.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// Lists what would be packed.
class ListPlaces final : public PackedPlaces {
 public:
  explicit ListPlaces(const Exec& ex) : ex_(ex) {}
  Place place(const std::string& name, kernels::PackedWeights& w) override {
    entries.push_back({.name = name,
                       .num_matrices = w.num_matrices,
                       .bytes = kernels::packed_bytes(ex_, w.dtype, w.rows, w.cols),
                       .checksums = {}});
    return Place::kSkip;
  }
  std::vector<PackedEntry> entries;

 private:
  const Exec& ex_;
};

class WritePlaces final : public PackedPlaces {
 public:
  explicit WritePlaces(PackedFileWriter& file) : file_(file) {}
  Place place(const std::string&, kernels::PackedWeights&) override { return Place::kWrite; }
  void write(const std::string& name, index_t matrix, std::span<const std::byte> bytes) override {
    file_.write(name, matrix, bytes);
  }

 private:
  PackedFileWriter& file_;
};

class MappedPlaces final : public PackedPlaces {
 public:
  explicit MappedPlaces(const PackedFile& file) : file_(file) {}
  Place place(const std::string& name, kernels::PackedWeights& w) override {
    const PackedEntry& entry = *file_.find(name);
    for (index_t e = 0; e < w.num_matrices; ++e) w.matrices.push_back(file_.matrix(entry, e));
    return Place::kReady;
  }

 private:
  const PackedFile& file_;
};

/// Reads what stays in memory, and notes the stacks of experts that do not.
class ReadPlaces final : public PackedPlaces {
 public:
  ReadPlaces(Exec& ex, const PackedFile& file) : ex_(ex), file_(file) {}
  Place place(const std::string& name, kernels::PackedWeights& w) override {
    const PackedEntry& entry = *file_.find(name);
    w.matrices.assign(static_cast<std::size_t>(w.num_matrices), nullptr);
    if (holds_routed_experts(name)) {
      if (name.ends_with(".gate_proj"))
        layers.push_back({.gate_up = &entry});
      else
        layers.back().down = &entry;
      return Place::kReady;
    }
    w.data = Storage(w.num_matrices * entry.stride());
    ex_.pool.parallel_for(w.num_matrices, [&](index_t e, int) {
      std::byte* const to = w.data.data() + e * entry.stride();
      file_.read(entry, e, to);
      w.matrices[static_cast<std::size_t>(e)] = to;
    });
    return Place::kReady;
  }
  std::vector<ExpertCache::Layer> layers;

 private:
  Exec& ex_;
  const PackedFile& file_;
};

}  // namespace

bool holds_routed_experts(std::string_view name) {
  return name.find(".mlp.experts.") != std::string_view::npos;
}

std::vector<PackedEntry> packed_entries(Model& model, Exec& ex, const PackRecipe& recipe) {
  ListPlaces list(ex);
  model.visit_unpacked([&](const Param& p) {
    list.entries.push_back(
        {.name = p.name, .num_matrices = 1, .bytes = bytes_of(p.value.dtype, p.value.count()), .checksums = {}});
  });
  model.pack({.ex = ex, .places = &list}, recipe);
  return std::move(list.entries);
}

namespace {

/// The first difference, or nothing.
std::string difference(const PackedFile& file, const std::string& key, const std::vector<PackedEntry>& want) {
  if (file.key() != key) return "was made from other files, or for another form or CPU";
  const bool same = std::equal(want.begin(), want.end(), file.entries().begin(), file.entries().end(),
                               [](const PackedEntry& a, const PackedEntry& b) {
                                 return a.name == b.name && a.num_matrices == b.num_matrices && a.bytes == b.bytes;
                               });
  return same ? "" : "holds other weights than the config asks for";
}

void write_cache(const fs::path& path, Model& model, Exec& ex, const fs::path& source, const std::string& key,
                 const PackRecipe& recipe, std::vector<PackedEntry> entries) {
  const Stopwatch packing;
  index_t bytes = 0;
  for (const PackedEntry& e : entries) bytes += e.num_matrices * e.stride();
  log_info("packing ", source.string(), " once into ", path.string(), ", ", bytes, " bytes");
  PackedFileWriter writer(path, key, std::move(entries));
  WritePlaces places(writer);
  load_packed(model, ex, source, recipe, &places);
  model.visit_unpacked([&](const Param& p) {
    writer.write(p.name, 0, {p.value.data, static_cast<std::size_t>(bytes_of(p.value.dtype, p.value.count()))});
  });
  writer.commit();
  log_info(fmt::format("packed in {:.1f} s", packing.seconds()));
}

}  // namespace

std::string packed_cache_key(Exec& ex, const fs::path& model, std::string_view weights, const Precision& precision) {
  JsonArray files;
  const auto add = [&](const fs::path& path) {
    files.push_back({path.filename().string(), static_cast<std::int64_t>(fs::file_size(path)),
                     static_cast<std::int64_t>(fs::last_write_time(path).time_since_epoch().count())});
  };
  const bool single = fs::is_regular_file(model);  // GGUF; pieces of a split one stand beside it
  const std::string stem = model.stem().string(), prefix = stem.substr(0, stem.find("-00001-of-"));
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(single ? fs::absolute(model).parent_path() : model)) {
    const fs::path extension = entry.path().extension();
    if (single ? extension == ".gguf" && entry.path().filename().string().starts_with(prefix)
               : extension == ".safetensors" || entry.path().filename() == "config.json")
      paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) add(path);

  // What packing makes of a few numbers shows every change of the order. The first value counts other changes (1:
  // integers are made of what the source holds, not of its bf16).
  XXH64_hash_t fingerprint = 1;
  for (const DType as : {precision.compute, DType::kE4M3, DType::kI8, DType::kI4}) {
    constexpr index_t kRows = 77, kCols = 131;
    Tensor values(precision.compute, kRows, kCols);
    for (index_t i = 0; i < kRows * kCols; ++i) {
      const auto x = static_cast<float>(i * 37 % 251) - 125;
      if (precision.compute == DType::kF32)
        values.view().as<float>()(i / kCols, i % kCols) = x;
      else
        values.view().as<bf16>()(i / kCols, i % kCols) = to_bf16(x);
    }
    Storage packed(kernels::packed_bytes(ex, as, kRows, kCols));
    kernels::pack_matrix(ex, packed.data(), values.view(), as);
    fingerprint = XXH3_64bits_withSeed(packed.data(), static_cast<std::size_t>(packed.size()), fingerprint);
  }
  return json_line(JsonObject{{"files", std::move(files)},
                              {"weights", weights},
                              {"compute", dtype_name(precision.compute)},
                              {"fp8_weights", precision.fp8_weights},
                              {"isa", isa_name(ex.isa)},
                              {"order", fmt::format("{:016x}", fingerprint)}});
}

PackedFile open_packed_cache(const fs::path& folder, Model& model, Exec& ex, const fs::path& source,
                             std::string_view weights, const PackRecipe& recipe) {
  fs::create_directories(folder);
  const std::string absolute = fs::weakly_canonical(source).string();
  const fs::path path = folder / fmt::format("{}-{}-{}-{:08x}.packed", fs::path(absolute).stem().string(), weights,
                                             isa_name(ex.isa), XXH32(absolute.data(), absolute.size(), 0));
  const std::string key = packed_cache_key(ex, source, weights, model.precision());
  std::vector<PackedEntry> entries = packed_entries(model, ex, recipe);
  if (fs::exists(path)) {
    std::string problem;
    try {
      PackedFile file(path);
      problem = difference(file, key, entries);
      if (problem.empty()) return file;
      log_info(path.string(), " ", problem);
    } catch (const Error& e) {
      log_warning("refused: ", e.what());
    }
  }
  write_cache(path, model, ex, source, key, recipe, std::move(entries));
  return PackedFile(path);
}

void use_mapped(Model& model, Exec& ex, PackedFile& file, const PackRecipe& recipe) {
  file.map();
  std::optional<ConstView> embedding;
  model.visit_unpacked([&](const Param& p) {
    const std::byte* from = file.matrix(*file.find(p.name), 0);
    if (p.is_vector)
      std::memcpy(p.value.data, from, static_cast<std::size_t>(bytes_of(p.value.dtype, p.value.count())));
    else
      embedding = ConstView{from, p.value.dtype, p.value.rows, p.value.cols, p.value.cols};
  });
  MappedPlaces places(file);
  model.pack({.ex = ex, .places = &places}, recipe);
  model.use_embedding(embedding.value());
}

std::vector<ExpertCache::Layer> use_streamed(Model& model, Exec& ex, const PackedFile& file, const PackRecipe& recipe) {
  model.visit_unpacked([&](const Param& p) {
    const PackedEntry& entry = *file.find(p.name);
    Storage whole(entry.stride());
    file.read(entry, 0, whole.data());
    std::memcpy(p.value.data, whole.data(), static_cast<std::size_t>(entry.bytes));
  });
  ReadPlaces places(ex, file);
  model.pack({.ex = ex, .places = &places}, recipe);
  return std::move(places.layers);
}

}  // namespace hadal
