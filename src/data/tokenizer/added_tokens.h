#pragma once
// Finds added tokens in text.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "formats/tokenizer_spec.h"

namespace hadal {

/// A set of strings, searched for leftmost first and, of those that start at one place, longest first. Tokens that say
/// so are not found inside words, or take the white space beside them along.
class AddedTokenMatcher {
 public:
  struct Match {
    std::size_t begin = 0, end = 0;  // bytes of the text
    int id = -1;
  };

  AddedTokenMatcher() = default;
  /// The added tokens for which `use` is true.
  AddedTokenMatcher(const std::vector<AddedToken>& tokens, FunctionRef<bool(const AddedToken&)> use);

  bool empty() const { return nodes_.size() == 1; }
  /// Appends the matches inside text[from, to), in order; they do not overlap. `text` may be any bytes.
  void find_all(std::string_view text, std::size_t from, std::size_t to, std::vector<Match>& matches) const;

 private:
  struct Node {                                       // of a trie; children are a linked list
    int token = -1;                                   // place in tokens_
    std::uint32_t first_child = 0, next_sibling = 0;  // 0: none
    unsigned char byte = 0;
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;
  void insert(const AddedToken& token);
  bool inside_word(std::string_view text, const Match& match) const;

  struct Token {
    int id = -1;
    bool single_word = false, lstrip = false, rstrip = false;
  };
  std::vector<Token> tokens_;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<std::uint32_t> root_children_ = std::vector<std::uint32_t>(256, 0);
};

}  // namespace hadal
