#pragma once
// Finds added tokens in text.
#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/tokenizer_spec.h"

namespace hadal {

/// A set of strings, searched for leftmost first and, of those that start at one place, longest first.
class AddedTokenMatcher {
 public:
  struct Match {
    std::size_t begin = 0, end = 0;  // bytes of the text
    int id = -1;
  };

  /// The added tokens whose `normalized` is as given: the two kinds are looked for one after the other.
  AddedTokenMatcher(const std::vector<AddedToken>& tokens, bool normalized);

  bool empty() const { return nodes_.size() == 1; }
  /// Appends the matches inside text[from, to), in order.
  void find_all(std::string_view text, std::size_t from, std::size_t to, std::vector<Match>& matches) const;

 private:
  struct Node {  // of a trie; children are a linked list
    int id = -1;
    std::uint32_t first_child = 0, next_sibling = 0;  // 0: none
    unsigned char byte = 0;
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;
  void insert(std::string_view content, int id);

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<std::uint32_t> root_children_ = std::vector<std::uint32_t>(256, 0);
};

}  // namespace hadal
