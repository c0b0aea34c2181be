#pragma once
// Which bytes of a rendered conversation the model itself would have generated.
#include <vector>

#include "data/chat_template/chat_template.h"
#include "data/sft/conversation.h"

namespace hadal {

/// Bytes [begin, end) that answer message `message`: from behind what the template gives as generation prompt to the
/// end of the token that ends the answer.
struct Turn {
  int message = 0;
  std::size_t begin = 0, end = 0;
};

/// A conversation as text, with the turns of the assistant in order.
struct RenderedConversation {
  RenderedPrompt prompt;
  std::vector<Turn> turns;
  bool reasoning_lost = false;  // the last message has reasoning that the template did not print
};

/// Renders a conversation and finds its turns: from {% generation %} blocks where the template has them; otherwise by
/// rendering the messages before each answer with a generation prompt, and those up to it without, and comparing.
/// Throws Error for what the template refuses, and when it leaves out the content or the tool calls of an assistant.
RenderedConversation render_conversation(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                         const Conversation& conversation);

/// The last answer as the model generates it, for templates that cut reasoning out of every answer (R1): the messages
/// before it with a generation prompt, then reasoning and content, then the token that ends answers. One turn.
RenderedConversation render_as_generated(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                         const Conversation& conversation);

/// "<think>\n" reasoning "\n</think>\n\n" content of a message, or its content when it has no reasoning of its own.
std::string generated_text(const JsonObject& message);

}  // namespace hadal
