#include "post/task_prompts.h"

#include "infer/chat_prompt.h"

namespace hadal {
namespace {

constexpr std::string_view
    kQuestion = "{question}",
    kR1Zero =
        "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The "
        "assistant "
        "first thinks about the reasoning process in the mind and then provides the user with the answer. The "
        "reasoning "
        "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., "
        "<think> "
        "reasoning process here </think> <answer> answer here </answer>. User: {question} Assistant:";

std::string plain_text(const JsonArray& messages) {
  std::string text;
  for (const Json& message : messages) {
    text += json_as<std::string>(message.as_object().at("content"), "content of a message");
    text += '\n';
  }
  return text;
}

}  // namespace

std::vector<TaskPrompt> task_prompts(const std::vector<TaskRecord>& tasks, const Tokenizer& tokenizer,
                                     const PromptOptions& o, std::string_view where) {
  std::vector<TaskPrompt> prompts;
  if (o.style == "chat") {
    const std::optional<ChatTemplate> chat = chat_template_of(tokenizer, where);
    HADAL_CHECK(chat, where, " has no chat template: give prompt.style r1-zero or plain");
    for (const TaskRecord& task : tasks) {
      JsonArray messages = task.messages;
      if (!o.system.empty()) messages.insert(messages.begin(), JsonObject{{"role", "system"}, {"content", o.system}});
      TaskPrompt& prompt = prompts.emplace_back();
      prompt.ids = chat_prompt(*chat, tokenizer, messages, {}).ids;
      prompt.text = tokenizer.decode(prompt.ids);
    }
    return prompts;
  }
  const std::string_view form = o.style == "r1-zero" ? kR1Zero : std::string_view(o.text);
  const std::size_t place = form.find(kQuestion);
  HADAL_CHECK(o.style == "plain" || place != form.npos, "prompt.text: got \"", form, "\", want ", kQuestion, " in it");
  for (const TaskRecord& task : tasks) {
    TaskPrompt& prompt = prompts.emplace_back();
    std::string text = plain_text(task.messages);
    if (o.style != "plain") {
      text.pop_back();
      text = str_cat(form.substr(0, place), text, form.substr(place + kQuestion.size()));
    }
    if (tokenizer.bos_id() >= 0) prompt.ids.push_back(tokenizer.bos_id());
    tokenizer.encode_append(text, prompt.ids);
    prompt.text = std::move(text);
  }
  return prompts;
}

}  // namespace hadal
