#include "nn/weights.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/file.h"
#include "kernels/elementwise.h"
#include "kernels/fp8.h"
#include "nn/gguf_weights.h"

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

/// FP8 codes times the scales of their blocks (ragged at the edges), to any float dtype.
void dequantize(const View& value, ConstView codes, ConstView scales, const Fp8Config& fp8, std::string_view name) {
  const index_t block_rows = (codes.rows + fp8.block_rows - 1) / fp8.block_rows;
  const index_t block_cols = (codes.cols + fp8.block_cols - 1) / fp8.block_cols;
  HADAL_CHECK(scales.rows == block_rows && scales.cols == block_cols, name, "_scale_inv: got ", scales.rows, " x ",
              scales.cols, " scales, want ", block_rows, " x ", block_cols);
  HADAL_CHECK(scales.dtype == DType::kF32 || scales.dtype == DType::kUE8M0, name, "_scale_inv: got ",
              dtype_name(scales.dtype), ", want f32 or ue8m0");
  const auto scale_at = [&](index_t r, index_t c) {
    return scales.dtype == DType::kF32 ? scales.as<float>()(r, c) : to_f32(scales.as<ue8m0>()(r, c));
  };
  float code_value[256];
  for (int i = 0; i < 256; ++i) code_value[i] = to_f32(e4m3{static_cast<std::uint8_t>(i)});
  const auto from = codes.as<e4m3>();
  for (index_t r = 0; r < codes.rows; ++r)
    for (index_t c = 0; c < codes.cols; ++c) {
      const float x = code_value[from(r, c).bits] * scale_at(r / fp8.block_rows, c / fp8.block_cols);
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
}

}  // namespace

void load_weights(Model& model, Exec& ex, const std::filesystem::path& folder, bool new_head) {
  HADAL_CHECK(!new_head || (model.config().scalar_head && folder.extension() != ".gguf"), folder.string(),
              ": a new head needs a model with a scalar head, and a folder of safetensors");
  if (folder.extension() == ".gguf") return load_gguf_weights(model, ex, GgufFile(folder));
  const SafetensorsFolder files(folder);
  std::vector<std::string> problems;
  std::set<std::string> used;
  model.visit_params([&](const Param& p) {
    const auto found = files.tensors().find(p.name);
    if (found == files.tensors().end()) {
      if (!new_head || p.name != "score.weight") problems.push_back("missing " + p.name);
      return;
    }
    used.insert(p.name);
    const StoredTensor& stored = found->second;
    const std::vector<index_t> want =
        p.is_vector ? std::vector<index_t>{p.value.cols} : std::vector<index_t>{p.value.rows, p.value.cols};
    if (stored.shape != want) {
      problems.push_back(str_cat(p.name, " has shape ", shape_text(stored.shape), ", want ", shape_text(want)));
      return;
    }
    const auto scales = files.tensors().find(p.name + "_scale_inv");
    if (scales != files.tensors().end()) {
      used.insert(scales->first);
      if (stored.dtype != DType::kE4M3)
        problems.push_back(str_cat(p.name, " has scales but is ", dtype_name(stored.dtype), ", want e4m3"));
      else
        dequantize(p.value, stored.view(), scales->second.view(), model.config().fp8.value_or(Fp8Config{}), p.name);
    } else if (stored.dtype == DType::kF32 || stored.dtype == DType::kBF16 || stored.dtype == DType::kF16 ||
               stored.dtype == DType::kF64) {
      kernels::convert(ex, p.value, stored.view());
    } else {
      problems.push_back(str_cat(p.name, " is ", dtype_name(stored.dtype), ", want f32, bf16, f16 or e4m3 with ",
                                 p.name, "_scale_inv"));
    }
  });
  for (const auto& [name, stored] : files.tensors())
    if (!used.contains(name) && !is_known_copy(model.config(), name) &&
        !(new_head && is_of_language_model(model.config(), name)))
      problems.push_back("no place for " + name);
  if (!problems.empty()) {
    constexpr std::size_t kShown = 20;
    const std::size_t shown = std::min(problems.size(), kShown);
    fail(folder.string(), ": ", problems.size(), " tensors do not fit the config: ",
         fmt::format("{}", fmt::join(problems.begin(), problems.begin() + static_cast<std::ptrdiff_t>(shown), "; ")),
         problems.size() > shown ? "; ..." : "");
  }
  model.refresh(ex);
}

std::vector<TensorToWrite> weights_to_write(Model& model, DType dtype,
                                            const std::function<ConstView(const Param&)>& source) {
  const ModelConfig& c = model.config();
  std::vector<TensorToWrite> tensors;
  model.visit_params([&](const Param& p) {
    const ConstView value = source ? source(p) : p.value;
    const std::vector<index_t> shape =
        p.is_vector ? std::vector<index_t>{value.cols} : std::vector<index_t>{value.rows, value.cols};
    const TensorToWrite tensor{p.name, p.trainable ? dtype : DType::kF32, shape, value};
    tensors.push_back(tensor);
    const bool embedding = p.name == "model.embed_tokens.weight",
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
