#pragma once
#include <optional>

#include "infer/reasoning.h"
#include "serve/openai/answer.h"

namespace hadal {

/// How a chat answer is written.
struct ChatAnswerOptions {
  bool split_reasoning = true;  // false: the text as it is, in content
  bool thinks = false;          // the prompt ended inside of <think>
  int top_logprobs = -1;        // -1: no logprobs
};

/// chat.completion and chat.completion.chunk.
class ChatAnswer final : public ApiAnswer {
 public:
  ChatAnswer(AnswerInfo info, const ChatAnswerOptions& options);

 private:
  struct Choice {
    std::optional<ReasoningSplitter> splitter;
    std::string content, reasoning;
    JsonArray content_logprobs, reasoning_logprobs;
    FinishReason finish = FinishReason::kNone;
  };
  void write_first() override;
  void on_prompt_token(std::size_t, const TokenEvent&) override {}
  void on_token(std::size_t prompt, std::size_t index, const TokenEvent& event) override;
  JsonArray choices() override;
  const char* object() const override { return "chat.completion"; }
  const char* chunk_object() const override { return "chat.completion.chunk"; }
  void add_details(JsonObject& details) const override;

  void write_delta(std::size_t index, JsonObject delta, Json logprobs, FinishReason finish = FinishReason::kNone);
  Json logprob_json(const TokenEvent& event) const;
  Json logprobs_json(JsonArray content, JsonArray reasoning) const;

  ChatAnswerOptions options_;
  std::vector<Choice> choices_;
  std::int64_t reasoning_tokens_ = 0;
};

}  // namespace hadal
