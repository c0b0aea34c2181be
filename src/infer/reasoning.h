#pragma once
// Parts an answer into its reasoning and what is meant to be read.
#include <deque>
#include <string>
#include <string_view>

#include "data/tokenizer/stream_decoder.h"

namespace hadal {

/// Takes the tokens of an answer with the text that the engine shows for them, and gives the text on: what stands
/// between <think> and </think> as reasoning, without the white space around it, the rest as content. <think> counts
/// only at the very beginning. Where the tokenizer has </think> as a token only this token ends the reasoning, not its
/// letters. Text may come later than its token.
class ReasoningSplitter {
 public:
  struct Piece {
    std::string reasoning, content;
  };
  /// inside: the prompt ended with <think>. The tokenizer must outlive this.
  ReasoningSplitter(const Tokenizer& tokenizer, bool inside);

  /// token: -1 for text without one.
  Piece push(int token, std::string_view text);
  /// What was held back.
  Piece finish();
  /// Whether the next token belongs to the reasoning, as far as one can tell.
  bool inside() const { return state_ == State::kInside; }

 private:
  enum class State : std::uint8_t { kStart, kInside, kAfter, kContent };
  struct Mark {  // a tag in the text to come
    std::size_t begin = 0, length = 0;
    bool opens = false;
  };
  void note(int token);
  void find_tags();
  void pass(std::string_view text, Piece& piece);
  bool change(bool opens);

  StreamDecoder decoder_;
  int open_id_, close_id_;
  State state_;
  bool reasons_ = false;                  // some reasoning was given on
  std::size_t decoded_ = 0, passed_ = 0;  // bytes: of all tokens so far, and of the text given on
  std::size_t skip_ = 0;                  // of a tag, still to come
  std::size_t searched_ = 0;              // of held_, without a tag (by text)
  std::deque<Mark> marks_;
  std::string held_, space_;
};

}  // namespace hadal
