#pragma once
// Tasks as a model is asked them.
#include <string>
#include <string_view>
#include <vector>

#include "data/chat_template/chat_template.h"
#include "data/tasks/task_record.h"
#include "data/tokenizer/tokenizer.h"

namespace hadal {

/// A prompt as ids and as the text that the ids stand for, which graders look at the end of.
struct TaskPrompt {
  std::vector<int> ids;
  std::string text;
};

/// How tasks become prompts. chat: the tokenizer's own chat template. r1-zero: the template by which R1-Zero asked a
/// base model (DeepSeek-R1, table 1). plain: the messages' texts, each on a line of its own, after BOS. text: a text
/// with {question} where these stand.
struct PromptOptions {
  std::string style = "chat", system, text;
  template <class V>
  void visit(V&& v) {
    v("style", style,
      "chat: the model's chat template; r1-zero: the template of R1-Zero, for base models; plain: the "
      "question alone; text: as --prompt.text says",
      {.choices = {"chat", "r1-zero", "plain", "text"}});
    v("text", text, "with style text: what a base model is asked, with {question} in it");
    v("system", system, "a system message in front, with chat");
  }
};

/// Throws Error when the tokenizer has no chat template that style "chat" needs. `where` opens error messages.
std::vector<TaskPrompt> task_prompts(const std::vector<TaskRecord>& tasks, const Tokenizer& tokenizer,
                                     const PromptOptions& options, std::string_view where);

}  // namespace hadal
