#pragma once
// Readable text of HTML pages. A light reader for manuals and help pages, not a browser: no scripts, no styles.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hadal {

/// The text of a page: blocks on lines of their own, an empty line before headings, preformatted parts as they are,
/// other white space collapsed, character references decoded. Scripts, styles, the head, and what is navigation by its
/// element (header, footer, nav, aside, button, noscript) are left out. Ends with a newline unless empty. Never fails.
std::string html_to_text(std::string_view html);

/// Finds lines that many pages of one site have in common, such as titles of link boxes, and removes them.
class RepeatedLines {
 public:
  /// Counts the lines of a page, each once.
  void add(std::string_view text);
  /// The page without the lines that more than a quarter of all counted pages (and at least 20) have.
  std::string remove_from(std::string_view text) const;

 private:
  static constexpr std::int64_t kFewPages = 20;
  struct Count {
    std::int64_t pages = 0, last_page = -1;
  };
  std::unordered_map<std::uint64_t, Count> counts_;  // by hash of the line
  std::int64_t num_pages_ = 0;
};

}  // namespace hadal
