#include "infer/reasoning.h"

#include <algorithm>

namespace hadal {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kSpace = " \t\r\n";

/// Bytes at the end of `text` that may be the beginning of `tag`.
std::size_t begun(std::string_view text, std::string_view tag) {
  for (std::size_t n = std::min(text.size(), tag.size() - 1); n > 0; --n)
    if (text.ends_with(tag.substr(0, n))) return n;
  return 0;
}

}  // namespace

ReasoningSplitter::ReasoningSplitter(const Tokenizer& tokenizer, bool inside)
    : decoder_(tokenizer),
      open_id_(tokenizer.added_id(kOpen)),
      close_id_(tokenizer.added_id(kClose)),
      state_(inside ? State::kInside : State::kStart) {}

// Where the tag of a token will stand in the text: the engine shows the same text, only later.
void ReasoningSplitter::note(int token) {
  const std::size_t before = decoded_, length = decoder_.push(token).size();
  decoded_ += length;
  if (token != open_id_ && token != close_id_) return;
  const std::size_t tag = std::min(length, token == open_id_ ? kOpen.size() : kClose.size());
  marks_.push_back({before + length - tag, tag, token == open_id_});
}

// False: a tag that is only text here.
bool ReasoningSplitter::change(bool opens) {
  if (state_ != State::kStart && (opens || state_ != State::kInside)) return false;
  state_ = opens ? State::kInside : State::kAfter;
  space_.clear();
  return true;
}

// White space is held back until it is known to be inside of something; at the beginning of a part it is dropped.
void ReasoningSplitter::pass(std::string_view text, Piece& piece) {
  passed_ += text.size();
  if (state_ == State::kContent) {
    piece.content += text;
    return;
  }
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) {
    if (state_ == State::kStart || reasons_) space_ += text;
    return;
  }
  if (state_ == State::kInside) {
    const std::size_t end = text.find_last_not_of(kSpace) + 1;
    piece.reasoning += space_;
    piece.reasoning += text.substr(reasons_ ? 0 : first, end - (reasons_ ? 0 : first));
    space_ = text.substr(end);
    reasons_ = true;
    return;
  }
  if (state_ == State::kStart) piece.content += space_;
  piece.content += text.substr(state_ == State::kAfter ? first : 0);
  space_.clear();
  state_ = State::kContent;
}

// Without tokens for them the tags are found in the text, where the state allows one.
void ReasoningSplitter::find_tags() {
  if (state_ == State::kContent || state_ == State::kAfter) {
    searched_ = held_.size();
    return;
  }
  const std::size_t close = held_.find(kClose), open = state_ == State::kStart ? held_.find(kOpen) : std::string::npos;
  const std::size_t tag = std::min(close, open);
  if (tag != std::string::npos) {
    marks_.push_back({passed_ + tag, open < close ? kOpen.size() : kClose.size(), open < close});
    searched_ = tag;
    return;
  }
  searched_ = held_.size() - std::max(begun(held_, kClose), begun(held_, kOpen));
}

ReasoningSplitter::Piece ReasoningSplitter::push(int token, std::string_view text) {
  Piece piece;
  const bool by_token = close_id_ >= 0;
  if (token >= 0 && by_token) note(token);
  held_ += text;
  for (;;) {
    const std::size_t skipped = std::min(skip_, held_.size());
    skip_ -= skipped;
    passed_ += skipped;
    held_.erase(0, skipped);
    if (skip_ > 0) return piece;
    if (by_token)
      searched_ = held_.size();
    else if (marks_.empty())
      find_tags();
    const bool tag_next = !marks_.empty() && marks_.front().begin <= passed_ + held_.size();
    const std::size_t n = tag_next ? marks_.front().begin - passed_ : std::min(searched_, held_.size());
    pass(std::string_view(held_).substr(0, n), piece);
    held_.erase(0, n);
    if (!tag_next) return piece;
    if (change(marks_.front().opens)) skip_ = marks_.front().length;
    marks_.pop_front();
  }
}

ReasoningSplitter::Piece ReasoningSplitter::finish() {
  Piece piece;
  pass(held_, piece);
  held_.clear();
  // What was only white space is the content of an answer that has no other.
  if (state_ == State::kStart) piece.content += space_;
  space_.clear();
  return piece;
}

}  // namespace hadal
