#pragma once
#include <string>

#include "data/tokenizer/tokenizer.h"

namespace hadal {

/// Turns ids into text as they come, never cutting a character in two: bytes that may still become one are held back.
/// What can never become one is replaced by U+FFFD. The pieces together are replace_ill_formed(decode(ids)).
class StreamDecoder {
 public:
  /// The tokenizer must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  /// The text that is complete with this id; may be empty.
  std::string push(int id);
  /// What was held back, as U+FFFD; the decoder is as new afterwards.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string pending_;
};

}  // namespace hadal
