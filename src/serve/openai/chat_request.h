#pragma once
#include <optional>

#include "infer/chat_prompt.h"
#include "serve/openai/request_fields.h"

namespace hadal {

struct ChatRequest {
  RequestFields fields;
  Json messages;   // as templates take them: roles, content as text, arguments of tool calls as the template wants them
  Json variables;  // of the template
  std::optional<bool> thinking;
  std::optional<int> thinking_budget;  // tokens
  int top_logprobs = -1;               // -1: no logprobs
};

/// The body of POST /v1/chat/completions. Throws ApiError.
ChatRequest read_chat_request(const Json& body, const Tokenizer& tokenizer, const ChatTemplate& chat_template);

/// chat_prompt() of a request. Throws ApiError for what the template refuses.
ChatPrompt render_chat(const ChatRequest& request, const Tokenizer& tokenizer, const ChatTemplate& chat_template);

}  // namespace hadal
