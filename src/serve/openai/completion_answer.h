#pragma once
#include "serve/openai/answer.h"

namespace hadal {

/// text_completion, whole and in chunks. With echo, info.prompts are the prompts themselves.
class CompletionAnswer final : public ApiAnswer {
 public:
  CompletionAnswer(AnswerInfo info, bool echo, int logprobs);

 private:
  /// The four arrays of "logprobs".
  struct Logprobs {
    JsonArray tokens, token_logprobs, top_logprobs, text_offset;
    JsonObject take();
  };
  struct Choice {
    std::string text;
    Logprobs logprobs;
    std::int64_t offset = 0;  // code points so far
    FinishReason finish = FinishReason::kNone;
    bool echoed = false;
  };
  void write_first() override {}
  void on_prompt_token(std::size_t prompt, const TokenEvent& event) override;
  void on_token(std::size_t prompt, std::size_t index, const TokenEvent& event) override;
  JsonArray choices() override;
  const char* object() const override { return "text_completion"; }
  const char* chunk_object() const override { return "text_completion"; }
  void add_details(JsonObject&) const override {}

  void add(Choice& choice, int id, const TokenEvent* event);
  void add_echo(Choice& choice, std::size_t prompt);
  JsonObject choice_json(std::size_t index, std::string text);

  bool echo_;
  int logprobs_;
  std::vector<Choice> choices_;
  std::vector<std::vector<TokenEvent>> prompt_events_;  // of each prompt
};

}  // namespace hadal
