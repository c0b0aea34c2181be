#include "serve/openai/completion_request.h"

#include "serve/openai/api_error.h"

namespace hadal {
namespace {

constexpr std::int64_t kMaxPrompts = 256;

std::vector<int> encode_prompt(std::string_view text, bool add_special, const Tokenizer& tokenizer) {
  std::vector<int> ids = tokenizer.encode(text, {.parse_special = true});
  if (!add_special) return ids;
  const std::vector<int> around = tokenizer.encode("", {.add_special = true});
  const bool wants_bos = !around.empty() && around.front() == tokenizer.bos_id() && tokenizer.bos_id() >= 0;
  if (wants_bos && (ids.empty() || ids.front() != tokenizer.bos_id())) ids.insert(ids.begin(), tokenizer.bos_id());
  return ids;
}

std::vector<int> read_ids(Fields& fields, const JsonArray& array, const Tokenizer& tokenizer) {
  std::vector<int> ids;
  for (const Json& id : array) {
    if (!id.is_int64() || id.get_int64() < 0)
      fields.reject("prompt", "a string, token ids, or an array of one of them");
    if (id.get_int64() >= tokenizer.vocab_size())
      throw bad_field("prompt", str_cat("prompt: token ", id.get_int64(), " is outside the vocabulary of ",
                                        tokenizer.vocab_size()));
    ids.push_back(static_cast<int>(id.get_int64()));
  }
  return ids;
}

std::vector<std::vector<int>> read_prompts(Fields& fields, bool add_special, const Tokenizer& tokenizer) {
  const Json& value = fields.require("prompt");
  if (value.is_string()) return {encode_prompt(value.get_string(), add_special, tokenizer)};
  if (!value.is_array() || value.get_array().empty())
    fields.reject("prompt", "a string, token ids, or an array of one of them");
  const JsonArray& array = value.get_array();
  if (array.front().is_number()) return {read_ids(fields, array, tokenizer)};
  if (std::ssize(array) > kMaxPrompts)
    throw bad_field("prompt", str_cat("prompt: got ", array.size(), " prompts, want at most ", kMaxPrompts));
  std::vector<std::vector<int>> prompts;
  for (const Json& prompt : array) {
    if (prompt.is_string() && array.front().is_string())
      prompts.push_back(encode_prompt(prompt.get_string(), add_special, tokenizer));
    else if (prompt.is_array() && array.front().is_array())
      prompts.push_back(read_ids(fields, prompt.get_array(), tokenizer));
    else
      fields.reject("prompt", "a string, token ids, or an array of one of them");
  }
  return prompts;
}

}  // namespace

CompletionRequest read_completion_request(const Json& body, const Tokenizer& tokenizer) {
  Fields fields(body);
  CompletionRequest request;
  request.fields = read_request_fields(fields, tokenizer);
  request.prompts = read_prompts(fields, fields.boolean("add_special_tokens").value_or(true), tokenizer);
  for (const std::vector<int>& prompt : request.prompts)
    if (prompt.empty()) throw bad_field("prompt", "prompt: got no tokens, want at least one");
  request.echo = fields.boolean("echo").value_or(false);
  request.logprobs = static_cast<int>(fields.integer("logprobs", 0, 20).value_or(-1));
  // OpenAI's default for completions. 0 only scores the prompt.
  request.fields.max_tokens = fields.integer("max_tokens", request.echo ? 0 : 1, 1 << 30).value_or(16);
  if (const auto suffix = fields.string("suffix"); suffix && !suffix->empty())
    throw not_supported("suffix", "filling in the middle");
  if (fields.integer("best_of", 1, 128).value_or(request.fields.n) != request.fields.n)
    throw not_supported("best_of", "another number than n");
  request.fields.unknown = fields.unknown();
  return request;
}

}  // namespace hadal
