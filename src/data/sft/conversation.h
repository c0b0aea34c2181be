#pragma once
// Conversations for supervised fine-tuning, in the shapes in which data sets come.
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace hadal {

enum class SftShape : std::uint8_t {
  kMessages,          // {"messages": [{"role", "content", "reasoning_content"?, "tool_calls"?}, ...], "tools"?}
  kPromptCompletion,  // {"prompt": text or messages, "completion": text or messages}
  kAlpaca,            // {"instruction", "input"?, "output", "system"?, "history"?: [[question, answer], ...]}
  kShareGpt,  // {"conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}, ...], "system"?, "tools"?}
};
std::string_view shape_name(SftShape shape);

/// The shape that an object's keys have; nothing when it is none of them.
Result<SftShape> detect_shape(const Json& line);

struct Conversation {
  JsonArray messages;    // objects with role (system|developer|user|assistant|tool) and content, checked
  Json tools;            // array or null
  JsonObject variables;  // for the template ("chat_template_kwargs")
};

/// A conversation out of a line of the given shape. The answer to a malformed line says which message and field is
/// wrong. What holds afterwards: roles are known; contents are strings, or null beside tool calls; tool results follow
/// tool calls; the last message is of the assistant. Keys of messages that have no meaning here are kept: templates may
/// know them.
Result<Conversation> parse_conversation(const Json& line, SftShape shape);

/// Makes the arguments of all tool calls objects, or JSON text. Throws Error when text is no JSON object.
void set_argument_kind(Conversation& conversation, bool objects);

}  // namespace hadal
