#include "analysis/quantize/weight_recipe.h"

#include <algorithm>
#include <vector>

#include "formats/ggml_quantize.h"
#include "nn/cache.h"
#include "nn/gguf_weights.h"

namespace hadal {
namespace {

bool is_gguf_form(std::string_view form) {
  return form.starts_with("q") || form == "f16";
}

}  // namespace

WeightClass weight_class(const Param& p) {
  const std::string_view name = p.name;
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (p.is_vector || has(".mlp.gate.")) return WeightClass::kPlain;
  if (has("embed_tokens")) return WeightClass::kEmbedding;
  if (name == "lm_head.weight") return WeightClass::kHead;
  if (has(".self_attn.")) return WeightClass::kAttention;
  return has(".mlp.experts.") ? WeightClass::kExperts : WeightClass::kDense;
}

WeightRecipe WeightRecipe::parse(std::string_view text) {
  struct Item {
    std::string_view name, form;  // name: empty for all classes
  };
  WeightRecipe recipe;
  recipe.text = text;
  std::vector<Item> items;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view item = text.substr(at, comma - at);
    const std::size_t equals = item.find('=');
    at = comma + 1;
    const bool whole = equals == std::string_view::npos;
    items.push_back({whole ? std::string_view() : item.substr(0, equals), whole ? item : item.substr(equals + 1)});
    if (items.back().name == "cache") {
      recipe.cache = items.back().form;
      parse_cache_format(recipe.cache, DType::kBF16);
      items.pop_back();
      continue;
    }
    recipe.gguf |= is_gguf_form(items.back().form);
    recipe.weights.append(recipe.weights.empty() ? "" : ",").append(item);
  }
  if (!recipe.gguf) {
    recipe.pack = PackRecipe::parse(recipe.weights);
    return recipe;
  }
  recipe.types.fill(GgmlType::kBF16);
  for (const auto& [name, form] : items) {
    HADAL_CHECK(is_gguf_form(form) || form == "bf16", "recipe \"", text, "\": ", form,
                " is no type of GGUF, others are");
    const GgmlType type = parse_ggml_type(form);
    HADAL_CHECK(can_quantize(type), "recipe \"", text, "\": nothing can be written as ", form, " yet");
    if (name.empty()) {
      recipe.types.fill(type);
      continue;
    }
    const auto found = std::ranges::find(kWeightClassNames, name);
    HADAL_CHECK(found != kWeightClassNames.end() && name != "plain", "recipe \"", text, "\": got class \"", name,
                "\", want embedding|attention|dense|experts|head");
    recipe.types[static_cast<std::size_t>(found - kWeightClassNames.begin())] = type;
  }
  recipe.types[static_cast<std::size_t>(WeightClass::kPlain)] = GgmlType::kF32;
  return recipe;
}

double WeightRecipe::bytes_of(const Param& p) const {
  const auto count = static_cast<double>(p.value.count());
  const WeightClass c = weight_class(p);
  if (c == WeightClass::kPlain) return 4 * count;
  if (gguf) return static_cast<double>(ggml_bytes(fitting_type(type_of(p), p.value.cols), p.value.count()));
  const PackAs form = c == WeightClass::kAttention ? pack.attention
                      : c == WeightClass::kDense   ? pack.dense
                      : c == WeightClass::kExperts ? pack.experts
                      : c == WeightClass::kHead    ? pack.head
                                                   : PackAs();
  // Bits a value, scales included (kernels/packed_gemm.h).
  const double as_is = p.value.dtype == DType::kE4M3 ? 8.25 : p.value.dtype == DType::kF32 ? 32 : 16;
  const double bits = !form ? as_is : *form == DType::kI4 ? 4.5 : 8.25;
  return count * bits / 8;
}

}  // namespace hadal
