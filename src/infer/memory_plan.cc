#include "infer/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "nn/packed_cache.h"

namespace hadal {
namespace {

/// The classes that people know, by the names of tensors.
std::string class_of(const std::string& name) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  if (holds_routed_experts(name)) return "routed experts";
  if (name == kEmbeddingName) return "embedding";
  if (name.starts_with("lm_head") || name.starts_with("model.embed_tokens")) return "output head";
  if (has("norm") || name.ends_with(".bias")) return "norms and biases";
  if (has(".mlp.gate.") || name.ends_with(".mlp.gate")) return "routers";
  if (has(".shared_experts.")) return "shared experts";
  if (has(".self_attn.")) return "attention";
  return "dense layers";
}

std::string form_of(const std::string& what, const PackRecipe& recipe, const Precision& precision) {
  const auto text = [&](PackAs as, bool held_fp8) {
    return std::string(dtype_name(as.value_or(held_fp8 ? DType::kE4M3 : precision.compute)));
  };
  if (what == "routed experts") return text(recipe.experts, precision.fp8_weights);
  if (what == "output head") return text(recipe.head, false);
  if (what == "attention") return text(recipe.attention, precision.fp8_weights);
  if (what == "dense layers" || what == "shared experts") return text(recipe.dense, precision.fp8_weights);
  return what == "embedding" ? text({}, false) : "f32";
}

/// The largest temporaries of a step (nn/moe.cc, nn/mla.cc, infer/engine_step.cc). The longest context counts whole:
/// prompts attend to expanded keys.
index_t scratch_of(const ModelConfig& c, const Precision& precision, const EngineOptions& o, index_t context) {
  const index_t rows = index_t{o.prefill_chunk} + o.max_batch, wide = 4;
  const index_t element = bytes_of(precision.compute, 1);
  const index_t top_k = std::max(1, c.num_experts_per_tok);
  const index_t dense = index_t{3} * c.intermediate_size;
  const index_t routed =
      c.n_routed_experts > 0 ? top_k * (2 * c.hidden_size + index_t{3} * c.moe_intermediate_size) : 0;
  const index_t heads = c.num_attention_heads;
  const index_t width = c.uses_mla() ? heads * (2 * c.qk_head_dim() + c.qk_nope_head_dim + 2 * c.v_head_dim)
                                     : 2 * (heads + 2 * index_t{c.num_key_value_heads}) * c.head_dim;
  const index_t keys = c.uses_mla() ? heads * (c.qk_nope_head_dim + c.v_head_dim) + c.kv_lora_rank : 0;
  return rows * (4 * c.hidden_size + std::max({dense, routed, width})) * element + context * keys * element +
         o.max_batch * index_t{c.vocab_size} * wide;
}

}  // namespace

MemoryPlan plan_memory(Model& model, Exec& ex, const LoadOptions& load, const EngineOptions& engine,
                       const MemoryInfo& memory) {
  const ModelConfig& config = model.config();
  const PackRecipe recipe = PackRecipe::parse(load.weights);
  MemoryPlan plan;
  plan.memory = memory;
  constexpr const char* kOrder[] = {"embedding",      "attention",   "dense layers", "shared experts",
                                    "routed experts", "output head", "routers",      "norms and biases"};
  for (const char* what : kOrder)
    plan.weights.push_back({.what = what, .form = form_of(what, recipe, model.precision())});
  const bool in_cache = !load.weights_cache.empty();
  for (const PackedEntry& e : packed_entries(model, ex, recipe)) {
    std::string what = class_of(e.name);
    if (what == "embedding" && !in_cache) {  // its rows are read from the model's file; a tied head needs the matrix
      if (!config.tie_word_embeddings || recipe.head) continue;
      what = "output head";
    }
    const auto at =
        std::find_if(plan.weights.begin(), plan.weights.end(), [&](const auto& w) { return w.what == what; });
    at->bytes += e.num_matrices * e.bytes;
    if (!holds_routed_experts(e.name)) continue;
    if (e.name.ends_with(".gate_proj")) plan.num_experts += e.num_matrices, plan.expert_bytes = 0;
    plan.expert_bytes += e.stride();
  }
  std::erase_if(plan.weights, [](const MemoryPlan::Weights& w) { return w.bytes == 0; });
  plan.weights_lie = in_cache ? "a mapped file in " + load.weights_cache : "memory; the embedding in the model's file";

  if (!load.weights_memory.empty()) {
    HADAL_CHECK(in_cache, "weights_memory: experts are streamed from --weights-cache; give a folder");
    HADAL_CHECK(plan.num_experts > 0, "weights_memory: this model has no routed experts that could be streamed");
    const index_t cap = parse_bytes(load.weights_memory, "weights_memory");
    for (MemoryPlan::Weights& w : plan.weights) w.streamed = w.what == "routed experts";
    const index_t rest = plan.resident_weight_bytes();
    plan.least_bytes = rest + config.num_experts_per_tok * plan.expert_bytes;
    HADAL_CHECK(cap >= plan.least_bytes, "weights_memory: got ", bytes_text(cap), ", want at least ",
                bytes_text(plan.least_bytes), ": ", bytes_text(rest), " of weights that stay in memory, and ",
                config.num_experts_per_tok, " experts of ", bytes_text(plan.expert_bytes));
    plan.expert_places = std::min(plan.num_experts, (cap - rest) / plan.expert_bytes);
    plan.weights_lie = "memory; routed experts are streamed from " + load.weights_cache;
  }

  const index_t layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  const DType compute = model.precision().compute;
  const index_t page_bytes =
      cache_bytes(config, compute, parse_cache_format(engine.cache, compute)) * kernels::kAttentionPage * layers;
  const index_t context = engine.context > 0 ? engine.context : config.max_position_embeddings;
  index_t pages = cache_pages(config, compute, engine);
  const auto scratch = [&] {
    return scratch_of(config, model.precision(), engine, std::min(context, pages * kernels::kAttentionPage));
  };
  if (engine.cache_tokens == 0) {
    const index_t left = memory.available - plan.resident_weight_bytes() - scratch();
    pages = std::max<index_t>(1, std::min(pages, left / page_bytes));
  }
  plan.cache_tokens = pages * kernels::kAttentionPage, plan.cache_bytes = pages * page_bytes;
  plan.scratch_bytes = scratch();
  return plan;
}

index_t MemoryPlan::weight_bytes() const {
  index_t bytes = 0;
  for (const Weights& w : weights) bytes += w.bytes;
  return bytes;
}

index_t MemoryPlan::resident_weight_bytes() const {
  index_t bytes = expert_places * expert_bytes;
  for (const Weights& w : weights) bytes += w.streamed ? 0 : w.bytes;
  return bytes;
}

void MemoryPlan::check() const {
  const index_t need = resident_bytes();
  if (need <= memory.available) return;
  std::string advice = "; ask for less: --engine.cache-tokens, --engine.context";
  if (num_experts > 0 && expert_places == 0)
    advice += ", --weights int4, or stream experts: --weights-memory with --weights-cache";
  else
    advice += expert_places > 0 ? ", --weights-memory" : ", --weights int4";
  fail("this needs ", bytes_text(need), " of memory (weights ", bytes_text(resident_weight_bytes()), ", cache of ",
       cache_tokens, " tokens ", bytes_text(cache_bytes), ", activations about ", bytes_text(scratch_bytes), "), but ",
       memory.limited_by, " has ", bytes_text(memory.available), " left", advice);
}

std::string MemoryPlan::table() const {
  std::string text;
  const auto row = [&](std::string_view what, index_t bytes, const std::string& note) {
    text += fmt::format("{:<18}{:>11}  {}\n", what, bytes_text(bytes), note);
  };
  for (const Weights& w : weights) row(w.what, w.bytes, w.form + (w.streamed ? ", streamed" : ""));
  row("all weights", weight_bytes(), "in " + weights_lie);
  if (expert_places > 0)
    row("expert places", expert_places * expert_bytes,
        fmt::format("for {} of {} experts of {}", expert_places, num_experts, bytes_text(expert_bytes)));
  row("cache", cache_bytes, fmt::format("{} tokens", cache_tokens));
  row("activations", scratch_bytes, "about");
  row("in memory", resident_bytes(),
      fmt::format("of {} that {} has left, {} in all", bytes_text(memory.available), memory.limited_by,
                  bytes_text(memory.total)));
  return text;
}

std::vector<std::string> MemoryPlan::lines() const {
  std::string classes;
  for (const Weights& w : weights)
    classes += fmt::format("{}{} {} {}", classes.empty() ? "" : ", ", w.what, bytes_text(w.bytes), w.form);
  std::string streamed;
  if (expert_places > 0)
    streamed =
        fmt::format(" (places for {} of {} experts of {})", expert_places, num_experts, bytes_text(expert_bytes));
  return {fmt::format("weights {} in {}{}: {}", bytes_text(weight_bytes()), weights_lie, streamed, classes),
          fmt::format("memory {} of {} that {} has left: weights {}, cache of {} tokens {}, activations about {}",
                      bytes_text(resident_bytes()), bytes_text(memory.available), memory.limited_by,
                      bytes_text(resident_weight_bytes()), cache_tokens, bytes_text(cache_bytes),
                      bytes_text(scratch_bytes))};
}

JsonObject MemoryPlan::json() const {
  JsonArray classes;
  for (const Weights& w : weights)
    classes.push_back(JsonObject{{"what", w.what}, {"form", w.form}, {"bytes", w.bytes}, {"streamed", w.streamed}});
  return {{"weights", std::move(classes)},
          {"weight_bytes", weight_bytes()},
          {"resident_weight_bytes", resident_weight_bytes()},
          {"experts", num_experts},
          {"expert_bytes", expert_bytes},
          {"expert_places", expert_places},
          {"cache_tokens", cache_tokens},
          {"cache_bytes", cache_bytes},
          {"scratch_bytes", scratch_bytes},
          {"resident_bytes", resident_bytes()},
          {"memory", {{"total", memory.total}, {"available", memory.available}, {"limited_by", memory.limited_by}}}};
}

Precision inference_precision(std::string_view weights, const ModelConfig& config) {
  const PackRecipe recipe = PackRecipe::parse(weights);
  Precision precision = Precision::for_inference(weights == "f32" || weights == "fp8" ? weights : "bf16", config);
  const bool stored =
      config.fp8 && config.fp8->block_rows == kernels::kFp8Tile && config.fp8->block_cols == kernels::kFp8Tile;
  precision.fp8_weights = stored && (weights == "as-stored" || weights == "fp8" || recipe.uses(DType::kE4M3));
  return precision;
}

}  // namespace hadal
