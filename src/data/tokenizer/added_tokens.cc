#include "data/tokenizer/added_tokens.h"

#include "base/utf8.h"
#include "data/tokenizer/unicode_classes.h"

namespace hadal {

namespace {

/// Bytes of white space at the end, at the start of `text`.
std::size_t spaces_at_end(std::string_view text) {
  std::size_t n = 0;
  for (int length; (length = last_character(text).length) > 0; text.remove_suffix(static_cast<std::size_t>(length))) {
    if (!(UnicodeClasses::get().of(last_character(text).value) & kCharSpace)) break;
    n += static_cast<std::size_t>(length);
  }
  return n;
}
std::size_t spaces_at_start(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size()) {
    const CodePoint c = decode_utf8(text.data() + n, text.data() + text.size());
    if (c.length == 0 || !(UnicodeClasses::get().of(c.value) & kCharSpace)) break;
    n += static_cast<std::size_t>(c.length);
  }
  return n;
}

/// Letters, marks, numbers and connectors, as the \w of Unicode's regexes.
bool is_word_character(CodePoint c) {
  constexpr unsigned kWord = kCharLetter | kCharMark | kCharNumber;
  return c.length > 0 && (c.value == '_' || (UnicodeClasses::get().of(c.value) & kWord) != 0);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens, FunctionRef<bool(const AddedToken&)> use) {
  for (const AddedToken& token : tokens)
    if (use(token)) insert(token);
}

std::uint32_t AddedTokenMatcher::child(std::uint32_t node, unsigned char byte) const {
  if (node == 0) return root_children_[byte];
  std::uint32_t c = nodes_[node].first_child;
  while (c != 0 && nodes_[c].byte != byte) c = nodes_[c].next_sibling;
  return c;
}

void AddedTokenMatcher::insert(const AddedToken& token) {
  std::uint32_t node = 0;
  for (const char c : token.content) {
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
  nodes_[node].token = static_cast<int>(tokens_.size());
  tokens_.push_back({token.id, token.single_word, token.lstrip, token.rstrip});
}

bool AddedTokenMatcher::inside_word(std::string_view text, const Match& match) const {
  const std::string_view behind = text.substr(match.end);
  return is_word_character(last_character(text.substr(0, match.begin))) ||
         (!behind.empty() && is_word_character(decode_utf8(behind.data(), behind.data() + behind.size())));
}

void AddedTokenMatcher::find_all(std::string_view text, std::size_t from, std::size_t to,
                                 std::vector<Match>& matches) const {
  if (empty()) return;
  std::size_t free_from = from;  // behind the match before
  for (std::size_t begin = from; begin < to;) {
    std::uint32_t node = root_children_[static_cast<unsigned char>(text[begin])];
    if (node == 0) {
      ++begin;
      continue;
    }
    int longest = -1;
    std::size_t end = begin + 1;
    for (std::size_t i = begin + 1;; ++i) {
      if (nodes_[node].token >= 0) {
        longest = nodes_[node].token;
        end = i;
      }
      if (i >= to) break;
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) break;
    }
    if (longest < 0) {
      ++begin;
      continue;
    }
    const Token& token = tokens_[static_cast<std::size_t>(longest)];
    Match match{begin, end, token.id};
    begin = end;
    if (token.single_word && inside_word(text, match)) continue;
    if (token.lstrip) match.begin -= spaces_at_end(text.substr(free_from, match.begin - free_from));
    if (token.rstrip) match.end += spaces_at_start(text.substr(match.end, to - match.end));
    begin = free_from = match.end;
    matches.push_back(match);
  }
}

}  // namespace hadal
