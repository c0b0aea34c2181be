#include "infer/chat_prompt.h"

namespace hadal {
namespace {

bool ends_inside_of_think(const RenderedPrompt& prompt) {
  if (prompt.segments.empty() || prompt.segments.back().source != PromptSource::kTemplate) return false;
  const std::size_t last = prompt.text.find_last_not_of(" \n");
  return last != std::string::npos && std::string_view(prompt.text).substr(0, last + 1).ends_with("<think>");
}

std::vector<int> encode(const RenderedPrompt& prompt, const Tokenizer& tokenizer, const OwnAnswers& own) {
  std::vector<int> ids;
  std::size_t begin = 0;
  const auto encode_to = [&](std::size_t end) {
    const std::vector<int> more = tokenizer.encode(prompt.text_segments(begin, end));
    ids.insert(ids.end(), more.begin(), more.end());
  };
  for (const PromptSegment& s : prompt.segments) {
    if (!s.assistant || s.source != PromptSource::kContent) continue;
    const auto found = own.find(s.message);
    if (found == own.end() || tokenizer.decode(found->second) != prompt.text.substr(s.begin, s.end - s.begin)) continue;
    encode_to(s.begin);
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    begin = s.end;
  }
  encode_to(prompt.text.size());
  return ids;
}

}  // namespace

std::optional<ChatTemplate> chat_template_of(const Tokenizer& tokenizer, std::string_view where) {
  const TokenizerConfig& config = tokenizer.files().config;
  if (config.chat_template.empty()) return std::nullopt;
  return ChatTemplate::from_config(config, where);
}

ChatPrompt chat_prompt(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const Json& messages,
                       std::optional<bool> thinking, const Json& variables, const OwnAnswers& own) {
  JsonObject all;
  if (thinking) all = {{"thinking", *thinking}, {"enable_thinking", *thinking}};
  if (variables.is_object())
    for (const auto& [key, value] : variables.get_object()) all[key] = value;
  RenderedPrompt rendered =
      chat_template.render(messages, nullptr, {.add_generation_prompt = true, .variables = std::move(all)});
  ChatPrompt prompt;
  prompt.thinks = ends_inside_of_think(rendered);
  // V3.1 opens with the bare tag and closes with it; R1 puts the tags on lines of their own.
  prompt.think_end = prompt.thinks && rendered.text.ends_with('>') ? "</think>" : "\n</think>\n\n";
  if (prompt.thinks && thinking == false) {
    // What R1 itself writes when it does not think.
    rendered.text += rendered.text.ends_with('\n') ? "\n</think>\n\n" : "\n\n</think>\n\n";
    rendered.segments.back().end = rendered.text.size();
    prompt.thinks = false;
  }
  prompt.ids = encode(rendered, tokenizer, own);
  return prompt;
}

}  // namespace hadal
