#pragma once
// What a tokenizer file says, whatever container it came from. data/tokenizer builds the working tokenizer from it.
#include <string>
#include <vector>

namespace hadal {

/// A string that becomes one token before the text is split and merged.
struct AddedToken {
  int id = -1;
  std::string content;
  bool special = false;                 // a control token: decoders may leave it out
  bool normalized = false;              // looked for after normalisation, in what the other added tokens leave over
  bool single_word = false;             // not found inside a word
  bool lstrip = false, rstrip = false;  // takes the white space on its left, on its right with it
};

/// Whether an added token is a bit of ordinary text that the merges cannot make (a letter, a run of spaces) and no name
/// of something: one character, or white space. Such a token is found in the text of users too.
bool is_text_token(const AddedToken& token);

/// A byte-level BPE tokenizer.
struct TokenizerSpec {
  struct Token {
    std::string bytes;     // what the token decodes to; empty: no token has this id
    bool literal = false;  // files show the bytes themselves, not their byte-level characters
  };
  /// `left` and `right` side by side become `result`.
  struct Merge {
    int left = 0, right = 0, result = 0;
  };

  std::vector<Token> tokens;             // by id; added tokens included
  std::vector<Merge> merges;             // the earlier, the sooner applied
  std::vector<AddedToken> added_tokens;  // in file order
  /// Regexes that cut the text into pieces before merging, one after the other: each is applied to the pieces of the
  /// one before. Matches and what lies between them become pieces.
  std::vector<std::string> splits;
  bool normalize_nfc = false;  // Unicode NFC before splitting
  bool ignore_merges = false;  // a piece that is a token stays whole, whatever the merges say
  /// Ids that the post-processor puts around a text when special tokens are asked for.
  std::vector<int> prefix_ids, suffix_ids;

  int vocab_size() const { return static_cast<int>(tokens.size()); }
};

}  // namespace hadal
