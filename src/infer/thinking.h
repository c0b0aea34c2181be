#pragma once
// How long a model has been thinking, and when it has to stop.
#include "infer/reasoning.h"
#include "infer/request.h"

namespace hadal {

/// Follows one answer through <think> ... </think> by its tokens and their text.
class ThinkingWatch {
 public:
  /// The tokenizer must outlive this.
  ThinkingWatch(const Tokenizer& tokenizer, const ThinkingParams& params);

  void push(int token, std::string_view text);
  /// Whether the next token belongs to the thinking.
  bool inside() const { return splitter_.inside(); }
  /// Thinking goes on, and its budget is used up.
  bool spent() const { return inside() && budget_ >= 0 && tokens_ >= budget_; }
  /// Tokens of thinking, without its tags where these are tokens.
  int tokens() const { return tokens_; }
  /// What ends the thinking when the model does not.
  const std::vector<int>& end_ids() const { return end_ids_; }

 private:
  ReasoningSplitter splitter_;
  int budget_, tokens_ = 0;
  std::vector<int> end_ids_;
};

}  // namespace hadal
