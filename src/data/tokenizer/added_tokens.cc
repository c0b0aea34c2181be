#include "data/tokenizer/added_tokens.h"

namespace hadal {

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens, bool normalized) {
  for (const AddedToken& token : tokens)
    if (token.normalized == normalized) insert(token.content, token.id);
}

std::uint32_t AddedTokenMatcher::child(std::uint32_t node, unsigned char byte) const {
  if (node == 0) return root_children_[byte];
  std::uint32_t c = nodes_[node].first_child;
  while (c != 0 && nodes_[c].byte != byte) c = nodes_[c].next_sibling;
  return c;
}

void AddedTokenMatcher::insert(std::string_view content, int id) {
  std::uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_.push_back({.byte = byte});
      if (node == 0) {
        root_children_[byte] = next;
      } else {
        nodes_[next].next_sibling = nodes_[node].first_child;
        nodes_[node].first_child = next;
      }
    }
    node = next;
  }
  nodes_[node].id = id;
}

void AddedTokenMatcher::find_all(std::string_view text, std::size_t from, std::size_t to,
                                 std::vector<Match>& matches) const {
  for (std::size_t begin = from; begin < to;) {
    Match longest;
    std::uint32_t node = 0;
    for (std::size_t i = begin; i < to; ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) break;
      if (nodes_[node].id >= 0) longest = {begin, i + 1, nodes_[node].id};
    }
    if (longest.id >= 0) matches.push_back(longest);
    begin = longest.id >= 0 ? longest.end : begin + 1;
  }
}

}  // namespace hadal
