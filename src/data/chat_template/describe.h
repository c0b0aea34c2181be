#pragma once
#include "data/chat_template/chat_template.h"

namespace hadal {

/// What a template does with small conversations: the text of one with all roles, the generation prompt, whether it
/// takes system messages, tools, tool results and reasoning, whether answers end with a control token, and what it
/// refuses, in its own words.
JsonObject describe_template(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace hadal
