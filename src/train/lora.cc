#include "train/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "formats/safetensors.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

/// "model.layers.0.mlp.up_proj.weight" -> "model.layers.0.mlp.up_proj"
std::string module_of(const std::string& parameter) {
  constexpr std::string_view kSuffix = ".weight";
  return parameter.substr(0, parameter.size() - kSuffix.size());
}

std::string peft_name(const std::string& parameter, char which) {
  return str_cat("base_model.model.", module_of(parameter), ".lora_", std::string(1, which), ".weight");
}

bool is_target(const Param& p, const std::vector<std::string>& targets) {
  if (p.is_vector || !p.trainable || !p.name.ends_with(".weight")) return false;
  const std::string module = module_of(p.name);
  const std::string last = module.substr(module.rfind('.') + 1);
  return std::find(targets.begin(), targets.end(), last) != targets.end();
}

void clear(View v) {
  for (index_t r = 0; r < v.rows; ++r)
    std::memset(v.slice_rows(r, 1).data, 0, static_cast<std::size_t>(bytes_of(v.dtype, v.cols)));
}

void fill_uniform(View v, double bound, std::uint64_t key) {
  for (index_t r = 0; r < v.rows; ++r)
    for (index_t c = 0; c < v.cols; ++c) {
      const double x = bound * (2 * random_uniform(key, Stream::kInit, static_cast<std::uint64_t>(r * v.cols + c)) - 1);
      if (v.dtype == DType::kF64)
        v.as<double>()(r, c) = x;
      else
        v.as<float>()(r, c) = static_cast<float>(x);
    }
}

}  // namespace

Lora::Lora(Exec& ex, Model& model, const LoraOptions& options, std::uint64_t seed) : model_(model), options_(options) {
  HADAL_CHECK(options.rank > 0, "lora: rank ", options.rank, ", want at least 1");
  const DType wide = model.precision().wide();
  const index_t rank = options.rank;
  model.visit_params([&](const Param& p) {
    if (!p.trainable)
      copy_rows(fixed_.emplace_back(p.value, Tensor(p.value.dtype, p.value.rows, p.value.cols)).second.view(), p.value);
    if (!is_target(p, options.targets)) return;
    const index_t out = p.value.rows, in = p.value.cols;
    Adapter& adapter =
        adapters_.emplace_back(Adapter{p, Tensor(p.value.dtype, out, in), Tensor(wide, rank, in),
                                       Tensor(wide, out, rank), Tensor(wide, rank, in), Tensor(wide, out, rank)});
    copy_rows(adapter.base.view(), p.value);
    fill_uniform(adapter.a.view(), 1 / std::sqrt(static_cast<double>(in)),
                 random_bits(seed, Stream::kInit, adapters_.size()));
  });
  HADAL_CHECK(!adapters_.empty(), "lora: no matrix of the model has one of the names in targets");
  if (!options.adapter.empty()) load(ex, options.adapter);
}

double Lora::scale() const {
  return options_.alpha / (options_.rank_stabilised ? std::sqrt(options_.rank) : options_.rank);
}

TrainedParams Lora::params() {
  return {
      .visit =
          [this](const ParamVisitor& v) {
            for (Adapter& adapter : adapters_) {
              v({.name = peft_name(adapter.weight.name, 'A'), .value = adapter.a.view(), .grad = adapter.da.view()});
              v({.name = peft_name(adapter.weight.name, 'B'), .value = adapter.b.view(), .grad = adapter.db.view()});
            }
          },
      .changed = [this](Exec& ex) { apply(ex); }};
}

void Lora::take_gradients(Exec& ex) {
  for (Adapter& adapter : adapters_) {
    HADAL_CHECK(!adapter.weight.grad.empty(), "lora: ", adapter.weight.name,
                " has no gradient; the model was built for inference");
    kernels::scale(ex, adapter.weight.grad, scale());
    kernels::gemm_tn(ex, adapter.da.view(), adapter.b.view(), adapter.weight.grad, Write::kAdd);
    kernels::gemm_nt(ex, adapter.db.view(), adapter.weight.grad, adapter.a.view(), Write::kAdd);
  }
  model_.visit_params([](const Param& p) {
    if (!p.grad.empty()) clear(p.grad);
  });
}

void Lora::apply(Exec& ex) {
  for (Adapter& adapter : adapters_) {
    const View w = adapter.weight.value;
    Tensor sum(model_.precision().wide(), w.rows, w.cols);
    kernels::gemm_nn(ex, sum.view(), adapter.b.view(), adapter.a.view());
    kernels::scale(ex, sum.view(), scale());
    kernels::convert(ex, sum.view(), adapter.base.view(), Write::kAdd);
    kernels::convert(ex, w, sum.view());
  }
  model_.refresh(ex);
}

void Lora::without(Exec& ex, const std::function<void()>& run) {
  std::vector<Tensor> now;
  for (const auto& [value, given] : fixed_) {
    copy_rows(now.emplace_back(value.dtype, value.rows, value.cols).view(), value);
    copy_rows(value, given.view());
  }
  for (const Adapter& adapter : adapters_) copy_rows(adapter.weight.value, adapter.base.view());
  model_.refresh(ex);
  run();
  for (std::size_t i = 0; i < fixed_.size(); ++i) copy_rows(fixed_[i].first, now[i].view());
  apply(ex);
}

void Lora::save(const std::filesystem::path& folder, const std::string& base_model) const {
  std::filesystem::create_directories(folder);
  std::vector<TensorToWrite> tensors;
  std::vector<std::string> targets;
  for (const Adapter& adapter : adapters_) {
    for (const char which : {'A', 'B'}) {
      const ConstView v = which == 'A' ? adapter.a.view() : adapter.b.view();
      tensors.push_back({peft_name(adapter.weight.name, which), DType::kF32, {v.rows, v.cols}, v});
    }
    const std::string module = module_of(adapter.weight.name), last = module.substr(module.rfind('.') + 1);
    if (std::find(targets.begin(), targets.end(), last) == targets.end()) targets.push_back(last);
  }
  write_safetensors(folder / "adapter_model.safetensors", std::move(tensors));
  const JsonObject config{{"peft_type", "LORA"},
                          {"task_type", "CAUSAL_LM"},
                          {"base_model_name_or_path", base_model},
                          {"r", options_.rank},
                          {"lora_alpha", options_.alpha},
                          {"use_rslora", options_.rank_stabilised},
                          {"target_modules", JsonArray(targets.begin(), targets.end())},
                          {"bias", "none"},
                          {"lora_dropout", 0.0},
                          {"fan_in_fan_out", false},
                          {"inference_mode", true},
                          {"modules_to_save", nullptr}};
  write_file_atomically(folder / "adapter_config.json", json_pretty(config));
}

void Lora::load(Exec& ex, const std::filesystem::path& folder) {
  const SafetensorsFile file(folder / "adapter_model.safetensors");
  std::size_t used = 0;
  params().visit([&](const Param& p) {
    const auto found = file.tensors().find(p.name);
    HADAL_CHECK(found != file.tensors().end(), folder.string(), ": adapter_model.safetensors has no ", p.name);
    const StoredTensor& stored = found->second;
    HADAL_CHECK(stored.shape == std::vector<index_t>({p.value.rows, p.value.cols}), folder.string(), ": ", p.name,
                " has ", stored.count(), " values, want ", p.value.rows, " x ", p.value.cols);
    kernels::convert(ex, p.value, stored.view());
    ++used;
  });
  HADAL_CHECK(used == file.tensors().size(), folder.string(), ": adapter_model.safetensors holds ",
              file.tensors().size(), " tensors, ", used, " of them have a place in the model");
  apply(ex);
}

std::unique_ptr<Lora> make_lora(Exec& ex, Model& model, LoraOptions options, std::uint64_t seed) {
  if (!options.adapter.empty()) options = read_adapter_config(options.adapter, options);
  if (options.rank == 0) return nullptr;
  return std::make_unique<Lora>(ex, model, options, seed);
}

LoraOptions read_adapter_config(const std::filesystem::path& folder, LoraOptions options) {
  const std::filesystem::path path = folder / "adapter_config.json";
  const Json json = read_json_file(path);
  ObjectReader r(json, path.string());
  if (r.get<std::string>("peft_type") != "LORA") r.reject("peft_type", "\"LORA\"");
  options.rank = static_cast<int>(r.get_integer("r", 1, 4096));
  options.alpha = r.get<double>("lora_alpha");
  options.rank_stabilised = r.get_or<bool>("use_rslora", false);
  options.targets = r.get<std::vector<std::string>>("target_modules");
  // What would change the product of A and B, or train more than them.
  if (r.get_or<bool>("use_dora", false)) r.reject("use_dora", "false");
  if (r.get_or<bool>("fan_in_fan_out", false)) r.reject("fan_in_fan_out", "false");
  if (r.get_or<std::string>("bias", "none") != "none") r.reject("bias", "\"none\"");
  for (const char* key : {"modules_to_save", "rank_pattern", "alpha_pattern"})
    if (const Json* v = r.find_value(key); v != nullptr && !(v->is_object() && v->as_object().empty()))
      r.reject(key, "nothing");
  options.adapter = folder.string();
  return options;
}

}  // namespace hadal
