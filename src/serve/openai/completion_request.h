#pragma once
#include "serve/openai/request_fields.h"

namespace hadal {

struct CompletionRequest {
  RequestFields fields;
  std::vector<std::vector<int>> prompts;
  bool echo = false;
  int logprobs = -1;  // -1: none
};

/// The body of POST /v1/completions. Prompts of ids are used exactly as they are; in text the names of control tokens
/// are these tokens, and BOS comes in front where the tokenizer's files ask for it (add_special_tokens, default true)
/// and it is not there already. Throws ApiError.
CompletionRequest read_completion_request(const Json& body, const Tokenizer& tokenizer);

}  // namespace hadal
