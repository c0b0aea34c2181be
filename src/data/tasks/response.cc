#include "data/tasks/response.h"

namespace hadal {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kAnswer = "<answer>", kAnswerEnd = "</answer>";
constexpr std::size_t npos = std::string_view::npos;

}  // namespace

Response split_response(std::string_view response, bool prompt_opens_think) {
  Response parts;
  const std::size_t open = response.find(kOpen), close = response.rfind(kClose);
  if (close != npos) {
    const std::size_t begin = !prompt_opens_think && open != npos && open < close ? open + kOpen.size() : 0;
    parts.reasoning = response.substr(begin, close - begin);
    parts.answer = response.substr(close + kClose.size());
  } else if (open != npos || prompt_opens_think) {
    // Cut off while it was still thinking: there is no answer.
    parts.reasoning = response.substr(prompt_opens_think ? 0 : open + kOpen.size());
    parts.closed = false;
  } else {
    parts.answer = response;
  }
  const std::size_t end = parts.answer.rfind(kAnswerEnd);
  if (end != npos)
    if (const std::size_t begin = parts.answer.rfind(kAnswer, end); begin != npos)
      parts.tagged_answer = parts.answer.substr(begin + kAnswer.size(), end - begin - kAnswer.size());
  return parts;
}

bool opens_think(std::string_view prompt) {
  const std::size_t last = prompt.find_last_not_of(" \t\r\n");
  return last != npos && prompt.substr(0, last + 1).ends_with(kOpen);
}

}  // namespace hadal
