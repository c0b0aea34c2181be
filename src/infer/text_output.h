#pragma once
// Ids in, text out, up to a stop text.
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/stream_decoder.h"

namespace hadal {

/// Looks for the first of several texts to end in a stream that comes in pieces. One step a byte and text.
class StopMatcher {
 public:
  /// Throws Error when a text is empty or no UTF-8.
  explicit StopMatcher(std::vector<std::string> texts);

  /// Takes the next byte. The length of the longest text that ends with it, 0: none does.
  std::size_t push(char byte);
  /// How many of the last bytes may be the beginning of a text.
  std::size_t held() const;

 private:
  struct Text {
    std::string text;
    std::vector<std::size_t> border;  // [n]: longest proper prefix of the first n bytes that is also their suffix
    std::size_t matched = 0;
  };
  std::vector<Text> texts_;
};

/// The text of one answer as its tokens come: whole characters, and nothing that is or may become part of a stop text.
class TextOutput {
 public:
  struct Piece {
    std::string text;      // what can be shown now
    bool stopped = false;  // a stop text was there: the answer is over, push no more
  };

  /// The tokenizer must outlive this. min_tokens: nothing in the tokens before that one is looked at for stops.
  TextOutput(const Tokenizer& tokenizer, std::vector<std::string> stops, bool skip_special = true, int min_tokens = 0);

  Piece push(int id);
  /// What was held back, at the end of an answer that no stop text ended. A stop text can no longer end it.
  std::string finish();

 private:
  Piece scan(std::string_view text);

  StreamDecoder decoder_;
  StopMatcher stops_;
  std::string held_;
  int unwatched_;  // tokens still to come whose text is not searched
  bool stopped_ = false;
};

}  // namespace hadal
