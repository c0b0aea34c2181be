#include "infer/chat_prompt.h"

namespace hadal {
namespace {

bool ends_inside_of_think(const RenderedPrompt& prompt) {
  if (prompt.segments.empty() || prompt.segments.back().source != PromptSource::kTemplate) return false;
  const std::size_t last = prompt.text.find_last_not_of(" \n");
  return last != std::string::npos && std::string_view(prompt.text).substr(0, last + 1).ends_with("<think>");
}

}  // namespace

std::optional<ChatTemplate> chat_template_of(const Tokenizer& tokenizer, std::string_view where) {
  const TokenizerConfig& config = tokenizer.files().config;
  if (config.chat_template.empty()) return std::nullopt;
  return ChatTemplate::from_config(config, where);
}

ChatPrompt chat_prompt(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const Json& messages,
                       std::optional<bool> thinking, const Json& variables) {
  JsonObject all;
  if (thinking) all = {{"thinking", *thinking}, {"enable_thinking", *thinking}};
  if (variables.is_object())
    for (const auto& [key, value] : variables.get_object()) all[key] = value;
  RenderedPrompt rendered =
      chat_template.render(messages, nullptr, {.add_generation_prompt = true, .variables = std::move(all)});
  ChatPrompt prompt;
  prompt.thinks = ends_inside_of_think(rendered);
  if (prompt.thinks && thinking == false) {
    // What R1 itself writes when it does not think.
    rendered.text += rendered.text.ends_with('\n') ? "\n</think>\n\n" : "\n\n</think>\n\n";
    rendered.segments.back().end = rendered.text.size();
    prompt.thinks = false;
  }
  prompt.ids = rendered.encode(tokenizer);
  return prompt;
}

}  // namespace hadal
