#include "infer/cmd_generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/json.h"
#include "base/utf8.h"
#include "data/tokenizer/tokenizer.h"
#include "nn/generate.h"
#include "nn/weights.h"

namespace hadal {
namespace {

struct GenerateOptions {
  std::string model, prompt, weights = "bf16";
  std::vector<int> tokens;
  int max_tokens = 128, threads = 0;
  double temperature = 1, top_p = 1;
  std::int64_t seed = 0;
  bool json = false;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder", {.required = true, .placeholder = "DIR"});
    v("prompt", prompt, "text to continue");
    v("tokens", tokens, "or token ids to continue");
    v("max_tokens", max_tokens, "most tokens to generate");
    v("temperature", temperature, "0: always the most likely token");
    v("top_p", top_p, "keep the likeliest tokens that together have this probability");
    v("seed", seed, "of the random choices");
    v("weights", weights, "precision to compute in", {.choices = {"f32", "bf16"}});
    v("threads", threads, "0: all CPUs");
    v("json", json, "print one JSON object");
  }
};

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::max(std::chrono::duration<double>(b - a).count(), 1e-9);
}

}  // namespace

int cmd_generate(Args args) {
  GenerateOptions o;
  if (!parse_options(
          o, args,
          {.verb = "generate", .about = "continue a prompt", .example = "hadal generate --model DIR --prompt 'Once'"}))
    return 0;
  const ModelConfig config = load_model_config(o.model);
  ThreadPool pool(o.threads);
  Exec exec(pool);
  Arena saved, scratch;
  Context ctx{exec, saved, scratch, Precision::parse(o.weights), {}};
  const bool has_tokenizer = std::filesystem::exists(std::filesystem::path(o.model) / "tokenizer.json");
  HADAL_CHECK(o.tokens.empty() != o.prompt.empty(), "generate: give one of --prompt and --tokens");
  HADAL_CHECK(has_tokenizer || o.prompt.empty(), o.model, " has no tokenizer.json; give --tokens");
  std::optional<Tokenizer> tokenizer;
  if (has_tokenizer) tokenizer.emplace(Tokenizer::load(o.model));
  const std::vector<int> prompt = o.prompt.empty() ? o.tokens : tokenizer->encode(o.prompt, {.add_special = true});
  for (const int id : prompt)
    HADAL_CHECK(id >= 0 && id < config.vocab_size, "generate: token ", id, " is outside the vocabulary of ",
                config.vocab_size);
  HADAL_CHECK(static_cast<int>(prompt.size()) + o.max_tokens <= config.max_position_embeddings,
              "generate: ", prompt.size(), " prompt tokens + ", o.max_tokens, " new ones exceed the context of ",
              config.max_position_embeddings);
  Model model = load_model(exec, o.model, ctx.precision, false);

  const auto start = std::chrono::steady_clock::now();
  auto first = start;
  const std::vector<int> tokens = generate(ctx, model, prompt, o.max_tokens,
                                           {o.temperature, o.top_p, static_cast<std::uint64_t>(o.seed)}, [&](int) {
                                             if (first == start) first = std::chrono::steady_clock::now();
                                             return true;
                                           });
  const auto end = std::chrono::steady_clock::now();
  const bool stopped =
      std::find(config.eos_token_ids.begin(), config.eos_token_ids.end(), tokens.back()) != config.eos_token_ids.end();
  const std::string text =
      tokenizer ? replace_ill_formed(tokenizer->decode(tokens, /*skip_special=*/true)) : std::string();
  if (!o.json) {
    fmt::print("{}{}\n", o.prompt, tokenizer ? text : fmt::format("{}", fmt::join(tokens, ",")));
    return 0;
  }
  const auto count = static_cast<std::int64_t>(tokens.size()), prompt_count = static_cast<std::int64_t>(prompt.size());
  const JsonObject usage{
      {"prompt_tokens", prompt_count}, {"completion_tokens", count}, {"total_tokens", prompt_count + count}};
  const JsonObject timings{
      {"prefill_tokens_per_second", static_cast<double>(prompt_count) / seconds_between(start, first)},
      {"decode_tokens_per_second", static_cast<double>(count - 1) / seconds_between(first, end)},
      {"acceptance_rate", nullptr}};
  fmt::print("{}\n", json_line(JsonObject{{"tokens", JsonArray(tokens.begin(), tokens.end())},
                                          {"text", text},
                                          {"finish_reason", stopped ? "stop" : "length"},
                                          {"usage", usage},
                                          {"timings", timings}}));
  return 0;
}

}  // namespace hadal
