#include "analysis/quantize/cmd_quantize.h"

#include <fmt/format.h>

#include "analysis/quantize/quantize_report.h"
#include "analysis/quantize/sample_text.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "data/tokenizer/tokenizer.h"
#include "formats/model_config.h"

namespace hadal {
namespace {

struct QuantizeOptions {
  std::string model, text, out;
  std::vector<std::string> recipe;
  int tokens = 1024, window = 512, threads = 0;
  bool json = false;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder or GGUF file", {.required = true, .placeholder = "DIR"});
    v("recipe", recipe,
      "form of the weights, may be given several times: as --weights of generate, or types of GGUF: "
      "q8_0|q6_k|q5_k|q4_k|"
      "q4_0, or embedding|attention|dense|experts|head=TYPE,...",
      {.required = true});
    v("text", text, "text to compare on; without one a page of prose, code and Chinese that the program brings",
      {.placeholder = "FILE"});
    v("tokens", tokens, "the most tokens of it (their logits are kept: vocabulary x 4 bytes each)");
    v("window", window, "tokens that are run as one sequence");
    v("out", out, "write the model as GGUF, under the last recipe", {.placeholder = "FILE.gguf"});
    v("threads", threads, "0: all CPUs");
    v("json", json, "one JSON object per recipe");
  }
};

/// The text as ids; random ones for a model without a tokenizer.
std::vector<int> ids_of(const QuantizeOptions& o) {
  HADAL_CHECK(o.tokens >= 2, "quantize: tokens: got ", o.tokens, ", want 2 at least");
  std::vector<int> ids;
  if (std::optional<TokenizerFiles> files = find_tokenizer_files(o.model)) {
    const Tokenizer tokenizer(*std::move(files));
    ids = tokenizer.encode(o.text.empty() ? std::string(kSampleText) : read_file(o.text));
  } else {
    HADAL_CHECK(o.text.empty(), "quantize: ", o.model, " has no tokenizer for ", o.text);
    const ModelConfig config = load_model_config(o.model);
    for (int i = 0; i < o.tokens; ++i)
      ids.push_back(static_cast<int>(random_bits(1, Stream::kSample, static_cast<std::uint64_t>(i)) %
                                     static_cast<std::uint64_t>(config.vocab_size)));
  }
  if (ids.size() > static_cast<std::size_t>(o.tokens)) ids.resize(static_cast<std::size_t>(o.tokens));
  return ids;
}

void print_table(const std::vector<QuantizeResult>& results) {
  fmt::print("{:<32} {:>9} {:>6} {:>10} {:>10} {:>10} {:>8} {:>10}\n", "recipe", "MB", "bits", "KL mean", "KL p99",
             "KL max", "top-1", "perplexity");
  for (const QuantizeResult& r : results)
    fmt::print("{:<32} {:>9.1f} {:>6.2f} {:>10.3g} {:>10.3g} {:>10.3g} {:>7.2f}% {:>10.4f}\n", r.recipe,
               r.total_bytes / 1e6, r.bits_per_weight, r.gap.mean_kl, r.gap.p99_kl, r.gap.max_kl, 100 * r.gap.top1,
               r.gap.perplexity);
  fmt::print("source, in f32: perplexity {:.4f} over {} positions\n\n{:<32}", results[0].gap.source_perplexity,
             results[0].gap.positions, "MB by class");
  for (const std::string_view name : kWeightClassNames) fmt::print(" {:>10}", name);
  fmt::print("\n");
  for (const QuantizeResult& r : results) {
    fmt::print("{:<32}", r.recipe);
    for (const double bytes : r.bytes) fmt::print(" {:>10.1f}", bytes / 1e6);
    fmt::print("\n");
  }
}

void print_json(const QuantizeResult& r) {
  JsonObject bytes;
  for (std::size_t i = 0; i < r.bytes.size(); ++i) bytes[kWeightClassNames[i]] = r.bytes[i];
  const JsonObject line = {{"recipe", r.recipe},
                           {"total_bytes", r.total_bytes},
                           {"bits_per_weight", r.bits_per_weight},
                           {"bytes", bytes},
                           {"positions", r.gap.positions},
                           {"kl_mean", r.gap.mean_kl},
                           {"kl_p99", r.gap.p99_kl},
                           {"kl_max", r.gap.max_kl},
                           {"top1_agreement", r.gap.top1},
                           {"source_perplexity", r.gap.source_perplexity},
                           {"perplexity", r.gap.perplexity}};
  fmt::print("{}\n", json_line(line));
}

}  // namespace

int cmd_quantize(Args args) {
  QuantizeOptions o;
  if (!parse_options(o, args,
                     {.verb = "quantize",
                      .about = "recipes for the weights: size, and how far the answers move",
                      .example = "hadal quantize --model DIR --recipe int8 --recipe experts=int4,attention=int8"}))
    return 0;
  std::vector<WeightRecipe> recipes;
  for (const std::string& text : o.recipe) recipes.push_back(WeightRecipe::parse(text));
  ThreadPool pool(o.threads);
  const std::vector<QuantizeResult> results = compare_recipes(pool, o.model, {ids_of(o), o.window}, recipes);
  if (o.json)
    for (const QuantizeResult& r : results) print_json(r);
  else
    print_table(results);
  if (!o.out.empty()) write_quantized(pool, o.model, recipes.back(), o.out);
  return 0;
}

}  // namespace hadal
