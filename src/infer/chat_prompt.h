#pragma once
#include <map>
#include <optional>
#include <vector>

#include "data/chat_template/chat_template.h"

namespace hadal {

/// The chat template that came with a tokenizer; nothing when none did. `where` opens error messages.
std::optional<ChatTemplate> chat_template_of(const Tokenizer& tokenizer, std::string_view where);

struct ChatPrompt {
  std::vector<int> ids;
  bool thinks = false;    // the prompt ends inside of <think>
  std::string think_end;  // how thinking ends in this template's answers
};

/// What the model itself generated for messages of the assistant, by their index. Where the template shows the same
/// text these ids are taken, not those that the text would be cut into anew: so the cache of an answer fits the next
/// prompt.
using OwnAnswers = std::map<int, std::vector<int>>;

/// Messages as the template wants them -> the prompt that asks for the next answer. Text of messages can never become a
/// control token. thinking: what the template's switches (thinking, enable_thinking) are told; false also closes a
/// <think> that the template opens whatever it is told. `variables`: an object of further ones, or null. Throws Error
/// for what the template refuses.
ChatPrompt chat_prompt(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const Json& messages,
                       std::optional<bool> thinking, const Json& variables = nullptr, const OwnAnswers& own = {});

}  // namespace hadal
