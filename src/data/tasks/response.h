#pragma once
// The parts of a response of a reasoning model: <think>reasoning</think> answer, or
// <think>..</think><answer>..</answer>.
#include <optional>
#include <string_view>

namespace hadal {

/// Views into the response.
struct Response {
  std::string_view reasoning;                     // between the tags; empty without
  std::string_view answer;                        // what follows </think>; everything when there is no such tag
  std::optional<std::string_view> tagged_answer;  // inside the last <answer>...</answer> of the answer
  bool closed = true;                             // the reasoning ended: no <think> is left open
};

/// `prompt_opens_think`: the prompt ended with <think>, so the response begins inside it.
Response split_response(std::string_view response, bool prompt_opens_think = false);

/// Whether the generation prompt already opened the tag of reasoning: it ends with <think> and perhaps white space.
bool opens_think(std::string_view prompt);

}  // namespace hadal
