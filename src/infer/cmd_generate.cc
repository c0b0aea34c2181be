#include "infer/cmd_generate.h"

#include <fmt/format.h>

#include "base/json_lines.h"
#include "base/log.h"
#include "infer/engine.h"
#include "infer/loaded_model.h"

namespace hadal {
namespace {

struct GenerateOptions {
  LoadOptions load;
  std::string prompt, jsonl;
  std::vector<int> tokens;
  int max_tokens = 128, top_k = 0;
  double temperature = 1, top_p = 1, min_p = 0, repetition_penalty = 1;
  std::int64_t seed = 0;
  std::vector<std::string> stop;
  int thinking_budget = -1, repetition_guard = 0;
  bool ignore_eos = false, json = false;
  EngineOptions engine;
  template <class V>
  void visit(V&& v) {
    load.visit(v);
    v("prompt", prompt, "text to continue");
    v("tokens", tokens, "or token ids to continue");
    v("jsonl", jsonl, "or a file of prompts: {\"prompt\": ...} or {\"tokens\": [...]} on each line",
      {.placeholder = "FILE"});
    v("max_tokens", max_tokens, "most tokens to generate");
    v("temperature", temperature, "0: always the most likely token");
    v("top_k", top_k, "keep so many of the likeliest tokens; 0: all");
    v("top_p", top_p, "keep the likeliest tokens that together have this probability");
    v("min_p", min_p, "keep tokens with at least this times the probability of the likeliest");
    v("repetition_penalty", repetition_penalty, "above 1: what was said already becomes less likely");
    v("seed", seed, "of the random choices");
    v("stop", stop, "texts that end the answer");
    v("thinking_budget", thinking_budget,
      "most tokens between <think> and </think>; then the model has to answer; -1: as many as it wants");
    v("repetition_guard", repetition_guard,
      "an answer ends when so many tokens are one passage over and over, thinking first; 0: never");
    v("ignore_eos", ignore_eos, "go on after the model's end of sequence");
    v("json", json, "print one JSON object for each prompt");
    v.group("engine", engine, "how requests run beside each other");
  }
};

std::vector<int> encode(const LoadedModel& m, const std::string& text) {
  HADAL_CHECK(m.tokenizer() != nullptr, "generate: the model folder has no tokenizer.json; give token ids");
  return m.tokenizer()->encode(text, {.add_special = true});
}

/// The prompts of a file, in its order.
std::vector<std::vector<int>> read_prompts(const LoadedModel& m, const std::string& path) {
  std::vector<std::vector<int>> prompts;
  for_each_json_line(path, [&](const Json& json, const std::string& where) {
    ObjectReader reader(json, where);
    if (reader.has("tokens"))
      prompts.push_back(reader.get<std::vector<int>>("tokens"));
    else
      prompts.push_back(encode(m, reader.get<std::string>("prompt")));
  });
  HADAL_CHECK(!prompts.empty(), "generate: ", path, " has no prompts");
  return prompts;
}

bool ends_inside_of_think(const Tokenizer& tokenizer, std::span<const int> prompt) {
  const std::string end = tokenizer.decode(prompt.last(std::min<std::size_t>(prompt.size(), 16)));
  const std::size_t last = end.find_last_not_of(" \n");
  return last != std::string::npos && std::string_view(end).substr(0, last + 1).ends_with("<think>");
}

const char* finish_name(FinishReason reason) {
  if (reason == FinishReason::kRepetition) return "repetition";
  return reason == FinishReason::kLength ? "length" : "stop";
}

/// One answer as it comes.
struct Continuation {
  std::vector<int> tokens;
  std::string text, error;
  FinishReason finish = FinishReason::kNone;
  Usage usage;

  void add(const TokenEvent& e) {
    if (e.token >= 0) tokens.push_back(e.token);
    text += e.text;
    if (e.finish == FinishReason::kNone) return;
    finish = e.finish, error = e.error, usage = e.usage;
  }
};

/// experts: nullptr unless they are streamed.
JsonObject to_json(const Continuation& r, const ExpertCache* experts) {
  const auto rate = [](std::int64_t count, double seconds) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  };
  const Usage& u = r.usage;
  const std::int64_t computed = u.prompt_tokens - u.cached_tokens;
  JsonObject json = {
      {"tokens", JsonArray(r.tokens.begin(), r.tokens.end())},
      {"text", r.text},
      {"finish_reason", finish_name(r.finish)},
      {"usage",
       {{"prompt_tokens", u.prompt_tokens},
        {"cached_tokens", u.cached_tokens},
        {"completion_tokens", u.completion_tokens},
        {"thinking_tokens", u.thinking_tokens},
        {"drafted_tokens", u.drafted_tokens},
        {"accepted_tokens", u.accepted_tokens},
        {"total_tokens", u.prompt_tokens + u.completion_tokens}}},
      {"timings",
       {{"prefill_tokens_per_second", rate(computed, u.prefill_seconds)},
        {"decode_tokens_per_second", rate(u.completion_tokens - 1, u.decode_seconds)},
        {"acceptance_rate", u.drafted_tokens > 0 ? Json(rate(u.accepted_tokens, static_cast<double>(u.drafted_tokens)))
                                                 : Json(nullptr)}}}};
  if (experts != nullptr) {
    const ExpertStats s = experts->stats();
    json["experts"] = {{"needed", s.needed()},          {"hit_rate", s.hit_rate()}, {"foreseen", s.foreseen},
                       {"guesses", s.guesses},          {"misses", s.misses},       {"bytes_read", s.bytes_read},
                       {"wait_seconds", s.wait_seconds}};
  }
  return json;
}

}  // namespace

int cmd_generate(Args args) {
  GenerateOptions o;
  if (!parse_options(
          o, args,
          {.verb = "generate", .about = "continue prompts", .example = "hadal generate --model DIR --prompt 'Once'"}))
    return 0;
  const int given = (o.prompt.empty() ? 0 : 1) + (o.tokens.empty() ? 0 : 1) + (o.jsonl.empty() ? 0 : 1);
  HADAL_CHECK(given == 1, "generate: give one of --prompt, --tokens and --jsonl");
  LoadedModel m(o.load, o.engine);
  std::vector<std::vector<int>> prompts;
  if (!o.jsonl.empty())
    prompts = read_prompts(m, o.jsonl);
  else
    prompts.push_back(o.prompt.empty() ? o.tokens : encode(m, o.prompt));

  m.engine.max_queue = std::max<int>(m.engine.max_queue, narrow<int>(std::ssize(prompts)));
  Engine engine(m.ctx, m.model, m.tokenizer(), m.engine);
  const bool streams = !o.json && prompts.size() == 1 && m.tokenizer() != nullptr;
  if (streams) fmt::print("{}", o.prompt);
  std::vector<Continuation> results(prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Request r;
    r.prompt = std::move(prompts[i]);
    r.sampling = {.repetition_penalty = o.repetition_penalty,
                  .temperature = o.temperature,
                  .top_k = o.top_k,
                  .top_p = o.top_p,
                  .min_p = o.min_p,
                  .seed = static_cast<std::uint64_t>(o.seed)};
    r.stop = {.max_tokens = o.max_tokens,
              .texts = o.stop,
              .ignore_eos = o.ignore_eos,
              .repetition_guard = o.repetition_guard};
    if (m.tokenizer() != nullptr && (o.thinking_budget >= 0 || o.repetition_guard > 0))
      r.thinking =
          ThinkingParams{.inside = ends_inside_of_think(*m.tokenizer(), r.prompt), .budget = o.thinking_budget};
    r.sink = [&results, i, streams](const TokenEvent& e) {
      results[i].add(e);
      if (!streams) return;
      fmt::print("{}", e.text);
      std::fflush(stdout);
    };
    engine.submit(std::move(r));
  }
  while (engine.step()) {
  }
  if (streams) fmt::print("\n");
  m.log_experts();
  if (const EngineStats stats = engine.stats(); stats.drafted_tokens > 0)
    log_info("speculation: ", stats.accepted_tokens, " of ", stats.drafted_tokens, " guesses came true; ",
             stats.completion_tokens, " tokens in ", stats.steps, " steps");
  for (const Continuation& r : results) {
    HADAL_CHECK(r.finish != FinishReason::kError, "generate: ", r.error);
    if (o.json)
      fmt::print("{}\n", json_line(to_json(r, m.experts())));
    else if (!streams)
      fmt::print("{}\n", m.tokenizer() != nullptr ? r.text : fmt::format("{}", fmt::join(r.tokens, ",")));
  }
  return 0;
}

}  // namespace hadal
