#include "analysis/quantize/quantize_report.h"

#include <algorithm>
#include <functional>

#include "formats/ggml_dequantize.h"
#include "formats/ggml_quantize.h"
#include "infer/memory_plan.h"
#include "nn/gguf_weights.h"
#include "nn/weights.h"

namespace hadal {
namespace {

/// One model at work.
struct Session {
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  Model model;
  Session(ThreadPool& pool, const std::filesystem::path& source, const ModelConfig& config, Precision precision)
      : exec(pool), ctx{exec, saved, scratch, precision, {}}, model(config, precision, /*train=*/false) {
    load_weights(model, exec, source);
  }
};

/// Matrices take the values that their GGUF types leave of them.
void round_to_types(Session& s, const WeightRecipe& recipe) {
  s.model.visit_params([&](const Param& p) {
    const GgmlType type = fitting_type(recipe.type_of(p), p.value.cols);
    if (p.is_vector || type == GgmlType::kF32) return;
    const Mat<float> value = p.value.as<float>();
    s.exec.pool.parallel_for(value.rows, [&](index_t r, int) {
      std::vector<std::byte> stored(static_cast<std::size_t>(ggml_bytes(type, value.cols)));
      ggml_quantize(stored.data(), type, value.row(r).data(), value.cols);
      ggml_dequantize(value.row(r).data(), type, stored.data(), value.cols);
    });
  });
}

/// Gives the logits of all ids, some rows at a time. With a cache every position attends to what the cache holds of
/// those before it, in the latent space as decoding does.
void for_logits(Session& s, const QuantizeText& text, const std::string& cache_format,
                const std::function<void(index_t first, Mat<const float> logits_TV)>& use) {
  constexpr index_t kRows = 64;
  const auto total = static_cast<index_t>(text.ids.size());
  const ModelConfig& config = s.model.config();
  for (index_t begin = 0; begin < total; begin += text.window) {
    const ArenaScope scope(s.scratch);
    const index_t length = std::min(text.window, total - begin);
    const View hidden = s.ctx.temp(length, config.hidden_size);
    std::optional<SequenceCache> cache;
    if (!cache_format.empty())
      cache.emplace(s.model.make_cache(length, parse_cache_format(cache_format, s.model.precision().compute)));
    const auto ids = std::span(text.ids).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(length));
    s.model.forward(s.ctx, hidden, ids, cache ? &*cache : nullptr, /*absorbed=*/cache.has_value());
    for (index_t r = 0; r < length; r += kRows) {
      const ArenaScope rows(s.scratch);
      const index_t count = std::min(kRows, length - r);
      const View logits = s.scratch.view(DType::kF32, count, config.vocab_size);
      s.model.logits(s.ctx, logits, hidden.slice_rows(r, count));
      use(begin + r, logits.as<float>());
    }
  }
}

QuantizeResult sizes(const WeightRecipe& recipe, Model& model) {
  QuantizeResult result;
  result.recipe = recipe.text;
  double count = 0;
  model.visit_params([&](const Param& p) {
    result.bytes[static_cast<std::size_t>(weight_class(p))] += recipe.bytes_of(p);
    count += static_cast<double>(p.value.count());
  });
  for (const double b : result.bytes) result.total_bytes += b;
  result.bits_per_weight = 8 * result.total_bytes / count;
  return result;
}

}  // namespace

std::vector<QuantizeResult> compare_recipes(ThreadPool& pool, const std::filesystem::path& source,
                                            const QuantizeText& text, std::span<const WeightRecipe> recipes) {
  const ModelConfig config = load_model_config(source);
  HADAL_CHECK(text.ids.size() >= 2 && text.window >= 2, "quantize: ", text.ids.size(), " tokens in windows of ",
              text.window, ", want 2 at least");
  for (const int id : text.ids)
    HADAL_CHECK(id >= 0 && id < config.vocab_size, "quantize: token ", id, " of a vocabulary of ", config.vocab_size);
  std::vector<int> next(text.ids.begin() + 1, text.ids.end());
  next.push_back(-1);
  for (std::size_t t = static_cast<std::size_t>(text.window) - 1; t < next.size();
       t += static_cast<std::size_t>(text.window))
    next[t] = -1;  // the first token of a window follows from nothing

  Tensor reference(DType::kF32, static_cast<index_t>(text.ids.size()), config.vocab_size);
  {
    Session s(pool, source, config, Precision{.compute = DType::kF32});
    for_logits(s, text, "", [&](index_t first, Mat<const float> logits) {
      for (index_t r = 0; r < logits.rows; ++r)
        std::ranges::copy(logits.row(r), reference.view().as<float>().row(first + r).begin());
    });
  }
  std::vector<QuantizeResult> results;
  for (const WeightRecipe& recipe : recipes) {
    Session s(pool, source, config,
              recipe.gguf ? Precision{.compute = DType::kF32} : inference_precision(recipe.weights, config));
    results.push_back(sizes(recipe, s.model));
    recipe.gguf ? round_to_types(s, recipe) : s.model.pack(s.exec, recipe.pack);
    LogitGapCounter counter;
    for_logits(s, text, recipe.cache, [&](index_t first, Mat<const float> logits) {
      const ConstView want = reference.view().slice_rows(first, logits.rows);
      counter.add(pool, want.as<float>(), logits,
                  std::span(next).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(logits.rows)));
    });
    results.back().gap = counter.finish();
  }
  return results;
}

void write_quantized(ThreadPool& pool, const std::filesystem::path& source, const WeightRecipe& recipe,
                     const std::filesystem::path& out) {
  HADAL_CHECK(recipe.gguf, "quantize: recipe \"", recipe.text,
              "\" is a form of the engine's memory (it is made at load); ",
              "a file needs types of GGUF (q8_0, q6_k, q5_k, q4_k, q4_0)");
  Session s(pool, source, load_model_config(source), Precision{.compute = DType::kF32});
  const std::optional<TokenizerFiles> tokenizer = find_tokenizer_files(source);
  write_gguf_model(s.exec, out, s.model, tokenizer ? &*tokenizer : nullptr,
                   [&](const Param& p) { return recipe.type_of(p); });
}

}  // namespace hadal
