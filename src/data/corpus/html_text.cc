#include "data/corpus/html_text.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/utf8.h"

namespace hadal {
namespace {

using Names = std::initializer_list<std::string_view>;

bool one_of(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_left_out(std::string_view name) {
  return one_of(
      name, {"script", "style", "head", "header", "footer", "nav", "aside", "button", "noscript", "template", "svg"});
}
/// Contents without tags: only the closing tag ends it.
bool is_raw(std::string_view name) {
  return name == "script" || name == "style";
}
bool is_heading(std::string_view name) {
  return name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6';
}
bool is_block(std::string_view name) {
  return is_heading(name) ||
         one_of(name, {"p",       "div",  "br",   "hr",         "li",     "ul",         "ol",   "dl",
                       "dt",      "dd",   "tr",   "table",      "thead",  "tbody",      "pre",  "section",
                       "article", "main", "body", "blockquote", "figure", "figcaption", "form", "title"});
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/// "&name;" at the start of text: appends what it means and returns its length, or 0.
std::size_t decode_reference(std::string_view text, std::string& out) {
  static constexpr std::array<std::pair<std::string_view, char32_t>, 24> kNamed = {{
      {"amp", '&'},      {"lt", '<'},       {"gt", '>'},        {"quot", '"'},     {"apos", '\''},    {"nbsp", ' '},
      {"ndash", 0x2013}, {"mdash", 0x2014}, {"hellip", 0x2026}, {"copy", 0xA9},    {"reg", 0xAE},     {"trade", 0x2122},
      {"laquo", 0xAB},   {"raquo", 0xBB},   {"lsquo", 0x2018},  {"rsquo", 0x2019}, {"ldquo", 0x201C}, {"rdquo", 0x201D},
      {"times", 0xD7},   {"middot", 0xB7},  {"bull", 0x2022},   {"deg", 0xB0},     {"le", 0x2264},    {"ge", 0x2265},
  }};
  const std::size_t end = text.substr(0, 12).find(';');
  if (end == std::string_view::npos || end < 2) return 0;
  std::string_view name = text.substr(1, end - 1);
  if (name[0] == '#') {
    const bool hex = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
    name.remove_prefix(hex ? 2 : 1);
    std::uint32_t c = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), c, hex ? 16 : 10);
    if (error != std::errc() || stop != name.data() + name.size()) return 0;
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = 0xFFFD;
    append_utf8(out, c == 0xA0 ? U' ' : static_cast<char32_t>(c));
    return end + 1;
  }
  const auto found = std::find_if(kNamed.begin(), kNamed.end(), [&](const auto& entry) { return entry.first == name; });
  if (found == kNamed.end()) return 0;
  append_utf8(out, found->second);
  return end + 1;
}

class Reader {
 public:
  std::string read(std::string_view html) {
    while (!html.empty()) {
      const std::size_t tag = html.find('<');
      if (left_out_depth_ == 0) add_text(html.substr(0, tag));
      if (tag == std::string_view::npos) break;
      html.remove_prefix(tag);
      html.remove_prefix(read_markup(html));
    }
    end_line();
    return std::move(out_);
  }

 private:
  /// A tag, comment or declaration at the start of html, which is '<'. Returns its length; 1 for a '<' that is text.
  std::size_t read_markup(std::string_view html) {
    if (html.starts_with("<!--"))
      return std::min(html.size(),
                      html.find("-->", 4) == std::string_view::npos ? html.size() : html.find("-->", 4) + 3);
    const bool closing = html.size() > 1 && html[1] == '/';
    std::size_t end = closing ? 2 : 1;
    std::string name;
    for (; end < html.size() && (std::isalnum(static_cast<unsigned char>(html[end])) != 0); ++end)
      name.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(html[end]))));
    if (name.empty() && !(html.size() > 1 && (html[1] == '!' || html[1] == '?' || html[1] == '/'))) {
      if (left_out_depth_ == 0) add_text("<");
      return 1;
    }
    char quote = 0;
    for (; end < html.size() && (quote != 0 || html[end] != '>'); ++end) {
      if (quote != 0) {
        if (html[end] == quote) quote = 0;
      } else if (html[end] == '"' || html[end] == '\'') {
        quote = html[end];
      }
    }
    const bool self_closing = end > 0 && end < html.size() && html[end - 1] == '/';
    end = std::min(html.size(), end + 1);
    if (is_raw(name) && !closing) return end + raw_length(html.substr(end), name);
    handle_tag(name, closing, self_closing);
    return end;
  }

  /// Bytes up to "</name".
  static std::size_t raw_length(std::string_view html, std::string_view name) {
    for (std::size_t at = html.find("</"); at != std::string_view::npos; at = html.find("</", at + 2)) {
      const std::string_view found = html.substr(at + 2, name.size());
      if (std::equal(found.begin(), found.end(), name.begin(), name.end(),
                     [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; }))
        return at;
    }
    return html.size();
  }

  void handle_tag(const std::string& name, bool closing, bool self_closing) {
    if (left_out_depth_ > 0) {
      if (name == left_out_name_ && !self_closing) left_out_depth_ += closing ? -1 : 1;
      return;
    }
    if (is_left_out(name) && !closing && !self_closing && !is_raw(name)) {
      left_out_name_ = name;
      left_out_depth_ = 1;
      return;
    }
    if (is_block(name)) end_line();
    if (is_heading(name) && !closing && !out_.empty() && !out_.ends_with("\n\n")) out_ += '\n';
    if (name == "pre") preformatted_ = !closing;
    if ((name == "td" || name == "th") && !line_.empty()) space_ = true;
  }

  void add_text(std::string_view text) {
    while (!text.empty()) {
      const char c = text[0];
      if (c == '&') {
        std::string decoded;
        if (const std::size_t length = decode_reference(text, decoded); length > 0) {
          decoded == " " && !preformatted_ ? static_cast<void>(space_ = true) : add_visible(decoded);
          text.remove_prefix(length);
          continue;
        }
      }
      text.remove_prefix(1);
      if (preformatted_ && c == '\n') {
        end_line();
      } else if (preformatted_ && (c == ' ' || c == '\t')) {
        line_ += c;
      } else if (is_space(c)) {
        space_ = true;
      } else {
        add_visible({&c, 1});
      }
    }
  }

  void add_visible(std::string_view text) {
    if (space_ && !line_.empty()) line_ += ' ';
    space_ = false;
    line_ += text;
  }

  void end_line() {
    while (!line_.empty() && is_space(line_.back())) line_.pop_back();
    if (!line_.empty()) (out_ += line_) += '\n';
    line_.clear();
    space_ = false;
  }

  std::string out_, line_, left_out_name_;
  int left_out_depth_ = 0;
  bool preformatted_ = false, space_ = false;
};

template <class Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const std::size_t end =
        std::min(text.size(), text.find('\n') == std::string_view::npos ? text.size() : text.find('\n') + 1);
    visit(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::uint64_t hash_of(std::string_view line) {
  return XXH3_64bits(line.data(), line.size());
}

}  // namespace

std::string html_to_text(std::string_view html) {
  return Reader().read(html);
}

void RepeatedLines::add(std::string_view text) {
  for_each_line(text, [&](std::string_view line) {
    Count& count = counts_[hash_of(line)];
    if (count.last_page != num_pages_) ++count.pages;
    count.last_page = num_pages_;
  });
  ++num_pages_;
}

std::string RepeatedLines::remove_from(std::string_view text) const {
  std::string kept;
  for_each_line(text, [&](std::string_view line) {
    const auto count = counts_.find(hash_of(line));
    const bool repeated = line != "\n" && count != counts_.end() && count->second.pages >= kFewPages &&
                          4 * count->second.pages > num_pages_;
    if (!repeated) kept += line;
  });
  // An empty line that stood before a heading must not end the page.
  while (kept.ends_with("\n\n")) kept.pop_back();
  return kept == "\n" ? "" : kept;
}

}  // namespace hadal
