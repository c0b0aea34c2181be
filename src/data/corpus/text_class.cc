#include "data/corpus/text_class.h"

#include <algorithm>

#include "base/error.h"
#include "data/corpus/word_table.h"

namespace hadal {
namespace {

constexpr std::uint32_t kStatement = 1, kMathWord = 2;

// Words that lines of code begin with, and hardly lines of prose.
constexpr std::string_view kStatements =
    "def elif except include define ifdef ifndef endif namespace typedef struct enum const static extern inline public "
    "private protected void int char float double bool unsigned var func fn impl pub mut elsif println printf printk "
    "console assert async await lambda foreach endfunction nullptr sizeof template typename self println fprintf "
    "return import";
constexpr std::string_view kMathWords =
    "theorem lemma proof corollary equation equations integral polynomial derivative eigenvalue divisible denominator "
    "numerator quadratic hypotenuse theta lambda sqrt frac cdot mathbb convergent calculus algebra geometry "
    "probability "
    "triangle radius arithmetic coprime bijection";

const WordTable& words_of_classes() {
  static const WordTable table = [] {
    WordTable words(1024);
    for_each_word(kStatements, [&](std::uint64_t hash) { words[hash] |= kStatement; });
    for_each_word(kMathWords, [&](std::uint64_t hash) { words[hash] |= kMathWord; });
    return words;
  }();
  return table;
}

bool is_any(char c, std::string_view of) {
  return of.find(c) != std::string_view::npos;
}

/// Whether a line looks like one of a program.
bool is_statement(const TextScan& scan, const Line& line) {
  const Word &first = scan.words[line.first_word], &last = scan.words[line.behind_word - 1];
  const std::string_view text = scan.text.substr(first.begin, last.end() - first.begin);
  const char begin = text.front(), end = text.back();
  if (is_any(end, ";{}") || text.ends_with("):") || text.ends_with("),") || text.ends_with("(") ||
      text.ends_with("[") || text == "]" || text == ")" || text.ends_with("\\"))
    return true;
  if (text.starts_with("//") || text.starts_with("/*") || text.starts_with("* ") || text.starts_with("#!") ||
      text.starts_with("# ") || text.starts_with("--") || text.starts_with(">>>") || text.starts_with("\"\"\"") ||
      begin == '@' || begin == '}' || begin == '$')
    return true;
  const bool has_sign = text.find_first_of("=({[<>:") != std::string_view::npos;
  // The first word may run into a bracket: its letters up to there.
  const std::size_t letters = std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_#"), text.size());
  if (letters > 0 && (words_of_classes().find(word_hash(text.substr(0, letters))) & kStatement) != 0) return true;
  if (!has_sign) return false;
  // An assignment: little stands before the sign.
  const std::size_t equals = text.find(" = ");
  if (equals != std::string_view::npos &&
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(equals), ' ') < 3 && end != '.')
    return true;
  return text.find("()") != std::string_view::npos || text.find("->") != std::string_view::npos ||
         text.find("==") != std::string_view::npos || text.find("::") != std::string_view::npos ||
         text.find("+=") != std::string_view::npos;
}

bool is_code(const TextScan& scan) {
  // Signs of programs among all characters, as an early answer for almost all prose.
  if (static_cast<double>(scan.punctuation) < 0.06 * static_cast<double>(scan.characters)) return false;
  const std::size_t signs = static_cast<std::size_t>(
      std::count_if(scan.text.begin(), scan.text.end(), [](char c) { return is_any(c, "(){}[];=<>_#*/\\+&|$"); }));
  if (static_cast<double>(signs) < 0.04 * static_cast<double>(scan.characters)) return false;
  const auto statements =
      std::count_if(scan.lines.begin(), scan.lines.end(), [&](const Line& line) { return is_statement(scan, line); });
  return statements > 0 && 10 * statements >= 4 * static_cast<std::int64_t>(scan.lines.size());
}

/// A TeX command, or an equation that stands in a word ("x=3", "2^n").
bool is_formula(std::string_view word) {
  if (word.size() >= 2 && word[0] == '\\' && word[1] >= 'A') return true;
  if (word == "=" || (word.size() > 2 && word.starts_with("$") && word.ends_with("$"))) return true;
  const std::size_t sign = word.find_first_of("=^");
  if (sign == std::string_view::npos || sign == 0 || sign + 1 >= word.size() || word.size() > 40) return false;
  // A value or a name of one letter on one of both sides, no quotes, calls or comparisons.
  const auto is_value = [](std::string_view side) { return side.size() == 1 || (side[0] >= '0' && side[0] <= '9'); };
  return word.find_first_of("\"'();:&") == std::string_view::npos && word.find("==") == std::string_view::npos &&
         (is_value(word.substr(0, sign)) || is_value(word.substr(sign + 1)));
}

bool is_math(const TextScan& scan) {
  // Most texts have no sign of a formula anywhere.
  constexpr std::string_view kSigns = "=^\\$";
  if (std::none_of(kSigns.begin(), kSigns.end(),
                   [&](char sign) { return scan.text.find(sign) != std::string_view::npos; }))
    return false;
  std::int64_t words = 0, formulas = 0, math_words = 0;
  for (const Word& word : scan.words) {
    ++words;
    if (word.is_ideograph != 0) continue;
    if ((words_of_classes().find(word.hash) & kMathWord) != 0)
      ++math_words;
    else if (is_formula(scan.text.substr(word.begin, word.length)))
      ++formulas;
  }
  // Words alone do not make it: there must be formulas.
  return 100 * (formulas + math_words) >= 4 * words && 100 * formulas >= words && formulas >= 2;
}

}  // namespace

TextClass parse_text_class(std::string_view name) {
  const auto found = std::find(kTextClassNames.begin(), kTextClassNames.end(), name);
  HADAL_CHECK(found != kTextClassNames.end(), "class: got \"", name, "\", want prose|code|math");
  return static_cast<TextClass>(found - kTextClassNames.begin());
}

TextClass classify_text(const TextScan& scan) {
  if (is_code(scan)) return TextClass::kCode;
  return is_math(scan) ? TextClass::kMath : TextClass::kProse;
}

}  // namespace hadal
