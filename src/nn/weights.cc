#include "nn/weights.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/file.h"
#include "base/mapping_guard.h"
#include "kernels/elementwise.h"
#include "kernels/fp8.h"
#include "nn/gguf_weights.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

/// What a language model has and a model with a scalar head has not: the head, and MTP layers.
bool is_of_language_model(const ModelConfig& c, const std::string& name) {
  if (name == "lm_head.weight") return true;
  constexpr std::string_view kLayers = "model.layers.";
  return name.starts_with(kLayers) && std::atoi(name.c_str() + kLayers.size()) >= c.num_hidden_layers;
}

/// Names that a checkpoint may carry although the model does not need them.
bool is_known_copy(const ModelConfig& c, const std::string& name) {
  if (name.ends_with(".rotary_emb.inv_freq")) return true;
  if (c.tie_word_embeddings && name == "lm_head.weight") return true;
  for (int layer = c.num_hidden_layers; layer < c.num_hidden_layers + c.num_nextn_predict_layers; ++layer) {
    const std::string prefix = str_cat("model.layers.", layer);
    if (name == prefix + ".embed_tokens.weight" || name == prefix + ".shared_head.head.weight") return true;
  }
  return false;
}

std::string shape_text(const std::vector<index_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// FP8 codes of the rows of `p` and the scales of all blocks of the tensor (ragged at the edges): multiplied, to any
/// float dtype, or as they are to codes and scales.
void read_fp8(Exec& ex, const Param& p, ConstView codes, ConstView scales, const Fp8Config& fp8) {
  const View& value = p.value;
  const auto scale_at = [&](index_t r, index_t c) {
    return scales.dtype == DType::kF32 ? scales.as<float>()(r, c) : to_f32(scales.as<ue8m0>()(r, c));
  };
  if (value.dtype == DType::kE4M3) {
    constexpr index_t kBlock = kernels::kFp8Tile;
    HADAL_CHECK(fp8.block_rows == kBlock && fp8.block_cols == kBlock, p.name, ": blocks of ", fp8.block_rows, "x",
                fp8.block_cols, " cannot be held as they are, only of 128x128");
    copy_rows(value, codes);
    for (index_t r = 0; r < p.scales.rows; ++r)
      for (index_t c = 0; c < scales.cols; ++c) p.scales(r, c) = scale_at(p.first_row / kBlock + r, c);
    return;
  }
  float code_value[256];
  for (int i = 0; i < 256; ++i) code_value[i] = to_f32(e4m3{static_cast<std::uint8_t>(i)});
  const auto from = codes.as<e4m3>();
  constexpr index_t kRows = 8;  // of a task
  ex.pool.parallel_for((value.rows + kRows - 1) / kRows, [&](index_t task, int) {
    for (index_t r = task * kRows; r < std::min(value.rows, (task + 1) * kRows); ++r)
      for (index_t c = 0; c < codes.cols; ++c) {
        const index_t row = p.first_row + r, block = row / fp8.block_rows;
        const float x = code_value[from(r, c).bits] * scale_at(block, c / fp8.block_cols);
        switch (value.dtype) {
          case DType::kF64:
            value.as<double>()(r, c) = x;
            break;
          case DType::kF32:
            value.as<float>()(r, c) = x;
            break;
          default:
            value.as<bf16>()(r, c) = to_bf16(x);
            break;
        }
      }
  });
}

class SafetensorsSource final : public WeightSource {
 public:
  SafetensorsSource(const std::filesystem::path& folder, bool new_head)
      : where_(folder.string()), files_(folder), new_head_(new_head) {}

  void match(Model& model) override {
    fp8_ = model.config().fp8.value_or(Fp8Config{});
    std::vector<std::string> problems;
    std::set<std::string> used;
    model.visit_params([&](const Param& p) {
      const std::string problem = match_one(p, used);
      if (!problem.empty()) problems.push_back(problem);
    });
    for (const auto& [name, stored] : files_.tensors())
      if (!used.contains(name) && !is_known_copy(model.config(), name) &&
          !(new_head_ && is_of_language_model(model.config(), name)))
        problems.push_back("no place for " + name);
    fail_on_problems(where_, problems);
  }

  void read(Exec& ex, const Param& p) override {
    if (is_new(p)) return;
    const Place& place = places_.at(p.name);
    ahead_.pass(place.piece, p.first_row, p.value.rows, [&](const ReadAhead::Rows& rows) {
      const Param part = rows_of(p, rows);
      const ConstView stored{rows.row(rows.first), place.stored->dtype, rows.count, p.value.cols, p.value.cols};
      if (place.scales != nullptr)
        read_fp8(ex, part, stored, place.scales->view(), fp8_);
      else
        set_param(ex, part, stored);
    });
  }

  bool finer_than_bf16() const override {
    return std::ranges::any_of(files_.tensors(), [](const auto& named) {
      return named.second.shape.size() > 1 && named.second.dtype != DType::kBF16;
    });
  }

  bool is_mapped(const std::string& name) const override { return places_.at(name).stored->file != nullptr; }

  void read_rows(Exec& ex, View to, const std::string& name, std::span<const int> rows) override {
    const ConstView from = places_.at(name).stored->view();
    for_rows(ex, rows,
             [&](index_t i, index_t row) { kernels::convert(ex, to.slice_rows(i, 1), from.slice_rows(row, 1)); });
  }

 private:
  struct Place {
    const StoredTensor *stored = nullptr, *scales = nullptr;  // scales: of FP8 blocks
    ReadAhead::Piece piece;
  };

  bool is_new(const Param& p) const {
    return new_head_ && p.name == "score.weight" && !files_.tensors().contains(p.name);
  }

  /// What is wrong, or nothing.
  std::string match_one(const Param& p, std::set<std::string>& used) {
    if (is_new(p)) return {};
    const auto found = files_.tensors().find(p.name);
    if (found == files_.tensors().end()) return "missing " + p.name;
    used.insert(p.name);
    const StoredTensor& stored = found->second;
    const std::vector<index_t> want =
        p.is_vector ? std::vector<index_t>{p.value.cols} : std::vector<index_t>{p.value.rows, p.value.cols};
    if (stored.shape != want)
      return str_cat(p.name, " has shape ", shape_text(stored.shape), ", want ", shape_text(want));
    Place place{.stored = &stored};
    const auto scales = files_.tensors().find(p.name + "_scale_inv");
    if (scales != files_.tensors().end()) {
      used.insert(scales->first);
      place.scales = &scales->second;
      if (stored.dtype != DType::kE4M3)
        return str_cat(p.name, " has scales but is ", dtype_name(stored.dtype), ", want e4m3");
      if (place.scales->dtype != DType::kF32 && place.scales->dtype != DType::kUE8M0)
        return str_cat(scales->first, " is ", dtype_name(place.scales->dtype), ", want f32 or ue8m0");
      const std::vector<index_t> blocks = {(p.value.rows + fp8_.block_rows - 1) / fp8_.block_rows,
                                           (p.value.cols + fp8_.block_cols - 1) / fp8_.block_cols};
      if (place.scales->shape != blocks)
        return str_cat(scales->first, " has shape ", shape_text(place.scales->shape), ", want ", shape_text(blocks));
    } else if (stored.dtype != DType::kF32 && stored.dtype != DType::kBF16 && stored.dtype != DType::kF16 &&
               stored.dtype != DType::kF64) {
      return str_cat(p.name, " is ", dtype_name(stored.dtype), ", want f32, bf16, f16 or e4m3 with ", p.name,
                     "_scale_inv");
    }
    const index_t rows = p.is_vector ? 1 : p.value.rows;
    place.piece = ahead_.add(stored.file, stored.data, rows, rows == 0 ? 0 : stored.bytes() / rows);
    places_[p.name] = place;
    return {};
  }

  std::string where_;
  SafetensorsFolder files_;
  bool new_head_;
  Fp8Config fp8_;
  std::map<std::string, Place> places_;
};

}  // namespace

void set_param(Exec& ex, const Param& p, ConstView from) {
  if (p.value.dtype != DType::kE4M3) return kernels::convert(ex, p.value, from);
  Tensor wide(DType::kF32, from.rows, from.cols);
  kernels::convert(ex, wide.view(), from);
  kernels::fp8_quantize_blocks(ex, {p.value, p.scales}, wide.view(), 1, kernels::Scales::kF32);
}

std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& path, bool new_head) {
  if (path.extension() == ".gguf") return open_gguf_weights(path);
  return std::make_unique<SafetensorsSource>(path, new_head);
}

void load_weights(Model& model, Exec& ex, const std::filesystem::path& folder, bool new_head) {
  HADAL_CHECK(!new_head || (model.config().scalar_head && folder.extension() != ".gguf"), folder.string(),
              ": a new head needs a model with a scalar head, and a folder of safetensors");
  const std::unique_ptr<WeightSource> source = open_weights(folder, new_head);
  source->match(model);
  model.visit_params([&](const Param& p) { source->read(ex, p); });
  source->end_reading();
  check_mapped_files();
  model.refresh(ex);
}

void load_packed(Model& model, Exec& ex, const std::filesystem::path& folder, const PackRecipe& recipe,
                 PackedPlaces* places) {
  const std::shared_ptr<WeightSource> source = open_weights(folder);
  source->match(model);
  const ParamVisitor read = [&](const Param& p) { source->read(ex, p); };
  const std::string embedding(kEmbeddingName);
  const bool in_file = places == nullptr && source->is_mapped(embedding);  // a step needs few of its rows
  model.visit_unpacked([&](const Param& p) {
    if (!in_file || p.name != embedding) read(p);
  });
  if (in_file)
    model.use_embedding(
        [source, embedding](Exec& e, View to, std::span<const int> ids) { source->read_rows(e, to, embedding, ids); });
  model.pack({.ex = ex, .fill = read, .finer_than_bf16 = source->finer_than_bf16(), .places = places}, recipe);
  source->end_reading();
  check_mapped_files();
}

std::vector<TensorToWrite> weights_to_write(Model& model, DType dtype,
                                            const std::function<ConstView(const Param&)>& source) {
  const ModelConfig& c = model.config();
  std::vector<TensorToWrite> tensors;
  model.visit_params([&](const Param& p) {
    const ConstView value = source ? source(p) : p.value;
    const std::vector<index_t> shape =
        p.is_vector ? std::vector<index_t>{value.cols} : std::vector<index_t>{value.rows, value.cols};
    if (value.dtype == DType::kE4M3) {  // Precision::fp8_weights
      tensors.push_back({p.name, DType::kE4M3, shape, value});
      tensors.push_back({p.name + "_scale_inv", DType::kF32, {p.scales.rows, p.scales.cols}, view_of(p.scales)});
      return;
    }
    const TensorToWrite tensor{p.name, p.trainable ? dtype : DType::kF32, shape, value};
    tensors.push_back(tensor);
    const bool embedding = p.name == kEmbeddingName,
               head = p.name == "lm_head.weight" || (embedding && c.tie_word_embeddings);
    for (int layer = c.num_hidden_layers; layer < c.num_hidden_layers + c.num_nextn_predict_layers; ++layer) {
      const std::string prefix = str_cat("model.layers.", layer);
      if (embedding) tensors.push_back({prefix + ".embed_tokens.weight", tensor.dtype, shape, value});
      if (head) tensors.push_back({prefix + ".shared_head.head.weight", tensor.dtype, shape, value});
    }
  });
  return tensors;
}

void save_model(Model& model, const std::filesystem::path& folder, DType dtype) {
  std::filesystem::create_directories(folder);
  ModelConfig config = model.config();
  config.torch_dtype = dtype == DType::kF32 ? "float32" : dtype == DType::kF16 ? "float16" : "bfloat16";
  if (model.precision().fp8_weights)
    config.fp8 = Fp8Config{.ue8m0_scales = config.fp8 && config.fp8->ue8m0_scales};
  else
    config.fp8.reset();
  write_safetensors_folder(folder, weights_to_write(model, dtype));
  write_file_atomically(folder / "config.json", model_config_json(config));
}

Model load_model(Exec& ex, const std::filesystem::path& folder, Precision precision, bool train) {
  Model model(load_model_config(folder), precision, train);
  load_weights(model, ex, folder);
  return model;
}

}  // namespace hadal
