#include <algorithm>
#include <array>

#include "data/tasks/math_answer.h"
#include "data/tasks/response.h"

namespace hadal {
namespace {

constexpr std::size_t npos = std::string_view::npos;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  return begin == npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Where the group that opens at `open` closes; npos when it does not. \{ and \} are no braces.
std::size_t closing_brace(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return i;
    }
  }
  return npos;
}

// The contents of all balanced boxes, outermost only.
std::vector<std::string_view> boxes(std::string_view text) {
  std::vector<std::string_view> found;
  for (std::size_t at = 0; (at = text.find("\\boxed", at)) != npos;) {
    std::size_t open = at + 6;
    while (open < text.size() && text[open] == ' ') ++open;
    at = open;
    if (open >= text.size() || text[open] != '{') continue;
    const std::size_t close = closing_brace(text, open);
    if (close == npos) break;
    found.push_back(trim(text.substr(open + 1, close - open - 1)));
    at = close;
  }
  return found;
}

// All boxes agree, or there is no answer.
std::string boxed_answer(const std::vector<std::string_view>& found) {
  const std::string_view last = found.back();
  if (last.empty()) return {};
  constexpr std::size_t kManyBoxes = 16;
  if (found.size() > kManyBoxes) return {};
  const Result<MathGold> gold = MathGold::parse(last);
  for (const std::string_view box : found)
    if (box != last && !(gold && gold.value().equals(box))) return {};
  return std::string(last);
}

// Up to the end of the sentence or line, without decoration.
std::string sentence(std::string_view text) {
  text = text.substr(0, text.find('\n', std::min(text.find_first_not_of(" \n"), text.size())));
  for (const std::string_view end : {". ", "\xE3\x80\x82", ", so", ", which", ", because"})
    text = text.substr(0, text.find(end));
  text = trim(text);
  while (!text.empty() && (text.back() == '.' || text.back() == '*')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == '*' || text.front() == ':')) text.remove_prefix(1);
  return std::string(trim(text));
}

std::string announced_answer(std::string_view tail) {
  // The Chinese marks: "answer is", "answer for", "answer:" in both widths.
  constexpr std::array<std::string_view, 9> kMarks{"answer is",
                                                   "Answer is",
                                                   "answer:",
                                                   "Answer:",
                                                   "ANSWER:",
                                                   "\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF",
                                                   "\xE7\xAD\x94\xE6\xA1\x88\xE4\xB8\xBA",
                                                   "\xE7\xAD\x94\xE6\xA1\x88\xEF\xBC\x9A",
                                                   "\xE7\xAD\x94\xE6\xA1\x88:"};
  std::size_t best = npos, length = 0;
  for (const std::string_view mark : kMarks)
    if (const std::size_t at = tail.rfind(mark); at != npos && (best == npos || at > best))
      best = at, length = mark.size();
  return best == npos ? std::string() : sentence(tail.substr(best + length));
}

// The last of $..$, $$..$$, \(..\), \[..\].
std::string last_formula(std::string_view tail) {
  std::string_view best;
  std::size_t best_end = 0;
  const auto consider = [&](std::size_t begin, std::size_t end) {
    const std::string_view inner = trim(tail.substr(begin, end - begin));
    if (end >= best_end && !inner.empty()) best = inner, best_end = end;
  };
  for (const auto& [open, close] : {std::pair<std::string_view, std::string_view>{"\\(", "\\)"}, {"\\[", "\\]"}})
    if (const std::size_t end = tail.rfind(close); end != npos)
      if (const std::size_t begin = tail.rfind(open, end); begin != npos && begin < end) consider(begin + 2, end);
  // Dollars that stand before a number and have no partner are money.
  if (const std::size_t end = tail.rfind('$'); end != npos && end > 0) {
    std::size_t last = end;
    while (last > 0 && tail[last - 1] == '$') --last;
    if (const std::size_t begin = last == 0 ? npos : tail.rfind('$', last - 1); begin != npos) {
      const bool money = end + 1 < tail.size() && tail[end + 1] >= '0' && tail[end + 1] <= '9';
      if (!money) consider(begin + 1, last);
    }
  }
  return std::string(best);
}

// The last number: digits with commas and a point, a sign before it, a fraction, a percent sign.
std::string last_number(std::string_view tail) {
  const auto digit = [&](std::size_t i) { return i < tail.size() && tail[i] >= '0' && tail[i] <= '9'; };
  std::size_t end = tail.find_last_of("0123456789");
  if (end == npos) return {};
  std::size_t begin = end;
  while (begin > 0 &&
         (digit(begin - 1) ||
          (std::string_view(",./").find(tail[begin - 1]) != npos && digit(begin) && begin > 1 && digit(begin - 2)) ||
          (tail[begin - 1] == '.' && digit(begin))))
    --begin;
  if (begin > 0 && tail[begin - 1] == '-' && (begin == 1 || !digit(begin - 2))) --begin;
  ++end;
  if (end < tail.size() && tail[end] == '%') ++end;
  return std::string(tail.substr(begin, end - begin));
}

}  // namespace

std::string extract_math_answer(std::string_view response, const MathOptions& options) {
  const Response parts = split_response(response);
  const std::string_view scope = parts.tagged_answer ? *parts.tagged_answer : parts.answer;
  if (const std::vector<std::string_view> found = boxes(scope); !found.empty()) return boxed_answer(found);
  if (scope.find("\\boxed") != npos) return {};  // cut off in its box
  const std::size_t tail_size = static_cast<std::size_t>(std::max(options.tail_characters, 1));
  const std::string_view tail = scope.size() > tail_size ? scope.substr(scope.size() - tail_size) : scope;
  if (std::string answer = announced_answer(tail); !answer.empty()) return answer;
  // What stands between answer tags is an answer, announced by the tags.
  if (parts.tagged_answer && scope.size() <= tail_size && !(options.strict && trim(scope).empty())) {
    const std::string_view whole = trim(scope);
    if (parse_math(whole)) return std::string(whole);
  }
  if (options.strict) return {};
  if (const std::size_t at = tail.rfind("####"); at != npos) return sentence(tail.substr(at + 4));
  if (std::string formula = last_formula(tail); !formula.empty()) return formula;
  return last_number(tail);
}

}  // namespace hadal
