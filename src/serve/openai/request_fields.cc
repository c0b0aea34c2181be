#include "serve/openai/request_fields.h"

#include <charconv>
#include <limits>

#include "serve/openai/api_error.h"

namespace hadal {
namespace {

constexpr std::int64_t kMaxChoices = 128, kMaxStops = 16, kMaxBiases = 1024;

void read_stops(Fields& fields, const Tokenizer& tokenizer, StopParams& stop) {
  const Json* value = fields.find("stop");
  if (value == nullptr) return;
  JsonArray texts;
  if (value->is_string())
    texts.push_back(*value);
  else if (value->is_array())
    texts = value->get_array();
  else
    fields.reject("stop", "a string or an array of strings");
  if (std::ssize(texts) > kMaxStops) fields.reject("stop", str_cat("at most ", kMaxStops, " strings"));
  for (const Json& text : texts) {
    if (!text.is_string() || text.get_string().empty()) fields.reject("stop", "strings that are not empty");
    stop.texts.emplace_back(text.get_string());
    if (const int id = tokenizer.added_id(stop.texts.back()); id >= 0) stop.ids.push_back(id);
  }
}

void read_biases(Fields& fields, const Tokenizer& tokenizer, SamplingParams& sampling) {
  const JsonObject* biases = fields.object("logit_bias");
  if (biases == nullptr) return;
  if (std::ssize(*biases) > kMaxBiases) fields.reject("logit_bias", str_cat("at most ", kMaxBiases, " tokens"));
  for (const auto& [key, value] : *biases) {
    int id = -1;
    const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (code != std::errc() || end != key.data() + key.size() || id < 0 || id >= tokenizer.vocab_size())
      throw bad_field("logit_bias", str_cat("logit_bias: got token \"", std::string_view(key), "\", want an id below ",
                                            tokenizer.vocab_size()));
    if (value.is_bool() && !value.get_bool()) {
      sampling.logit_bias[id] = -std::numeric_limits<float>::infinity();
      continue;
    }
    const double bias = value.is_number() ? value.to_number<double>() : std::numeric_limits<double>::quiet_NaN();
    if (!(bias >= -100 && bias <= 100))
      throw bad_field("logit_bias", str_cat("logit_bias: token ", id, ": got ", json_excerpt(value),
                                            ", want a number from -100 to 100, or false"));
    // OpenAI promises that -100 bans a token.
    sampling.logit_bias[id] = bias == -100 ? -std::numeric_limits<float>::infinity() : static_cast<float>(bias);
  }
}

}  // namespace

RequestFields read_request_fields(Fields& fields, const Tokenizer& tokenizer) {
  RequestFields r;
  r.model = fields.string("model").value_or("");
  r.stream = fields.boolean("stream").value_or(false);
  if (const JsonObject* options = fields.object("stream_options")) {
    const Json value(*options);
    Fields stream(value, "stream_options");
    r.include_usage = stream.boolean("include_usage").value_or(false);
  }
  r.n = static_cast<int>(fields.integer("n", 1, kMaxChoices).value_or(1));
  SamplingParams& s = r.sampling;
  s.temperature = fields.number("temperature", 0, 2).value_or(1);
  s.top_p = fields.number("top_p", 0, 1).value_or(1);
  s.top_k = static_cast<int>(std::max<std::int64_t>(0, fields.integer("top_k", -1, 1 << 30).value_or(0)));
  s.min_p = fields.number("min_p", 0, 1).value_or(0);
  s.typical_p = fields.number("typical_p", 0, 1).value_or(1);
  s.top_n_sigma = std::max(0.0, fields.number("top_n_sigma", -1, 1e6).value_or(0));
  s.frequency_penalty = fields.number("frequency_penalty", -2, 2).value_or(0);
  s.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(0);
  s.repetition_penalty = fields.number("repetition_penalty", 0.01, 100).value_or(1);
  read_biases(fields, tokenizer, s);
  constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
  if (const auto seed = fields.integer("seed", -kAny, kAny)) r.seed = static_cast<std::uint64_t>(*seed);
  read_stops(fields, tokenizer, r.stop);
  if (const JsonArray* ids = fields.array("stop_token_ids")) {
    for (const Json& id : *ids) {
      if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= tokenizer.vocab_size())
        fields.reject("stop_token_ids", str_cat("ids below ", tokenizer.vocab_size()));
      r.stop.ids.push_back(static_cast<int>(id.get_int64()));
    }
  }
  r.stop.min_tokens = static_cast<int>(fields.integer("min_tokens", 0, 1 << 30).value_or(0));
  r.stop.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  if (const auto guard = fields.integer("repetition_guard", 0, 1 << 30)) r.repetition_guard = static_cast<int>(*guard);
  fields.accept({"user", "metadata", "store", "service_tier", "prompt_cache_key", "safety_identifier", "verbosity",
                 "prediction", "cache_prompt", "parallel_tool_calls"});
  return r;
}

}  // namespace hadal
