#include "infer/text_output.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace hadal {

StopMatcher::StopMatcher(std::vector<std::string> texts) {
  for (std::string& text : texts) {
    HADAL_CHECK(!text.empty(), "stop: got an empty text, which would end every answer before it begins");
    HADAL_CHECK(well_formed_prefix(text) == text.size(), "stop: got a text that is no UTF-8");
    std::vector<std::size_t> border(text.size() + 1, 0);
    for (std::size_t n = 1, length = 0; n < text.size(); ++n) {
      while (length > 0 && text[n] != text[length]) length = border[length];
      if (text[n] == text[length]) ++length;
      border[n + 1] = length;
    }
    texts_.push_back({std::move(text), std::move(border)});
  }
}

// Knuth, Morris and Pratt, for each text.
std::size_t StopMatcher::push(char byte) {
  std::size_t longest = 0;
  for (Text& t : texts_) {
    if (t.matched == t.text.size()) t.matched = t.border[t.matched];
    while (t.matched > 0 && t.text[t.matched] != byte) t.matched = t.border[t.matched];
    if (t.text[t.matched] == byte) ++t.matched;
    if (t.matched == t.text.size()) longest = std::max(longest, t.matched);
  }
  return longest;
}

std::size_t StopMatcher::held() const {
  std::size_t longest = 0;
  for (const Text& t : texts_) longest = std::max(longest, t.matched);
  return longest;
}

TextOutput::TextOutput(const Tokenizer& tokenizer, std::vector<std::string> stops, bool skip_special, int min_tokens)
    : decoder_(tokenizer, skip_special), stops_(std::move(stops)), unwatched_(std::max(0, min_tokens - 1)) {}

TextOutput::Piece TextOutput::push(int id) {
  HADAL_CHECK(!stopped_, "text output: token ", id, " after the stop text");
  const std::string text = decoder_.push(id);
  if (unwatched_ == 0) return scan(text);
  --unwatched_;
  return {text, false};
}

TextOutput::Piece TextOutput::scan(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    held_ += text[i];
    const std::size_t length = stops_.push(text[i]);
    if (length == 0) continue;
    held_.resize(held_.size() - length);
    stopped_ = true;
    return {std::exchange(held_, ""), true};
  }
  // Stop texts are well-formed, so what may become one begins with a whole character.
  const std::size_t end = held_.size() - stops_.held();
  Piece piece{held_.substr(0, end), false};
  held_.erase(0, end);
  return piece;
}

std::string TextOutput::finish() {
  if (stopped_) return "";
  return std::exchange(held_, "") + decoder_.finish();
}

}  // namespace hadal
