#include "data/corpus/quality_filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/corpus/word_table.h"

namespace hadal {
namespace {

constexpr std::string_view kGopherStopWords = "the be to of and that have with";
// The most frequent function characters of Chinese prose, simplified and traditional.
constexpr std::string_view kChineseFunctionWords =
    "\u7684 \u4E86 \u662F \u5728 \u548C \u6709 \u4E0D \u8FD9 \u4ED6 \u6211 \u4E3A \u4EE5 \u4E2D \u4E0A \u5230 \u8BF4 "
    "\u5730 \u4E5F \u5C31 \u4E0E \u800C \u53CA \u5BF9 \u53EF \u5C06 \u4F1A \u88AB \u6216 \u70BA \u9019 \u8AAA \u8207 "
    "\u5C0D \u6703 \u5C07 \u4F46 \u4ECE \u7531 \u4E4B \u8FD8 \u90FD \u8981";

WordTable table_of(std::string_view list) {
  WordTable table(256);
  std::uint32_t number = 0;
  for_each_word(list, [&](std::uint64_t hash) { table[hash] = ++number; });
  return table;
}

/// How many different words of the table the text has; counting stops at `enough`.
int distinct_words(const TextScan& scan, const WordTable& table, int enough) {
  std::uint64_t seen = 0;
  int count = 0;
  for (const Word& word : scan.words) {
    const std::uint32_t number = table.find(word.hash);
    if (number == 0 || (seen >> (number % 64) & 1) != 0) continue;
    seen |= std::uint64_t{1} << (number % 64);
    if (++count >= enough) break;
  }
  return count;
}

double ratio(std::int64_t part, std::int64_t whole) {
  return whole <= 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

template <class T>
Verdict below(std::string_view filter, T got, T wanted, std::string_view what) {
  return Drop{std::string(filter), fmt::format("{:.4g} {}, want at least {:.4g}", static_cast<double>(got), what,
                                               static_cast<double>(wanted))};
}
template <class T>
Verdict above(std::string_view filter, T got, T wanted, std::string_view what) {
  return Drop{std::string(filter), fmt::format("{:.4g} {}, want at most {:.4g}", static_cast<double>(got), what,
                                               static_cast<double>(wanted))};
}

std::string_view text_of(const TextScan& scan, const Line& line) {
  const std::uint32_t begin = scan.words[line.first_word].begin, end = scan.words[line.behind_word - 1].end();
  return scan.text.substr(begin, end - begin);
}

bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return text.ends_with(end); });
}
bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> begins) {
  return std::any_of(begins.begin(), begins.end(), [&](std::string_view begin) { return text.starts_with(begin); });
}

bool ends_sentence(std::string_view line) {
  const auto last = static_cast<unsigned char>(line.back());
  if (last < 0x80) return last == '.' || last == '!' || last == '?' || last == '"' || last == '\'';
  return ends_with_any(line, {"\u3002", "\uFF01", "\uFF1F", "\u2026", "\u201D", "\u2019", "\u300D", "\uFF1B", "\u06D4",
                              "\u061F", "\u0964"});
}

/// Characters of a line, at least when there are at most `limit`.
std::int64_t characters_of(std::string_view line, std::int64_t limit) {
  if (static_cast<std::int64_t>(line.size()) > 4 * limit) return limit + 1;
  return std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::int64_t short_lines(const TextScan& scan, int length) {
  return std::count_if(scan.lines.begin(), scan.lines.end(),
                       [&](const Line& line) { return characters_of(text_of(scan, line), length) <= length; });
}

std::int64_t num_words(const TextScan& scan) {
  return std::count_if(scan.words.begin(), scan.words.end(), [](const Word& word) { return word.hash != 0; });
}

std::int64_t count_of(std::string_view text, std::string_view what) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

}  // namespace

bool is_unspaced(Language language) {
  return language == Language::kChinese || language == Language::kJapanese;
}

Verdict gopher_filter(const TextScan& scan, Language language, const GopherOptions& o) {
  const std::int64_t words = num_words(scan), lines = static_cast<std::int64_t>(scan.lines.size());
  if (words < o.min_words) return below("gopher.min_words", words, o.min_words, "words");
  if (words > o.max_words) return above("gopher.max_words", words, o.max_words, "words");
  const double length = ratio(scan.characters - scan.white_space, static_cast<std::int64_t>(scan.words.size()));
  if (length < o.min_mean_word_length)
    return below("gopher.min_mean_word_length", length, o.min_mean_word_length, "characters a word");
  if (length > o.max_mean_word_length)
    return above("gopher.max_mean_word_length", length, o.max_mean_word_length, "characters a word");
  const double hashes = ratio(std::count(scan.text.begin(), scan.text.end(), '#'), words);
  if (hashes > o.max_symbol_ratio) return above("gopher.max_symbol_ratio", hashes, o.max_symbol_ratio, "# a word");
  const double ellipses = ratio(count_of(scan.text, "...") + count_of(scan.text, "\u2026"), words);
  if (ellipses > o.max_symbol_ratio)
    return above("gopher.max_symbol_ratio", ellipses, o.max_symbol_ratio, "ellipses a word");
  std::int64_t bullets = 0, ellipsis_lines = 0;
  for (const Line& line : scan.lines) {
    const std::string_view text = text_of(scan, line);
    bullets += begins_with_any(text, {"\u2022", "- ", "* ", "\u2023", "\u25E6", "\u25CF", "\u00B7"}) ? 1 : 0;
    ellipsis_lines += ends_with_any(text, {"...", "\u2026"}) ? 1 : 0;
  }
  if (ratio(bullets, lines) > o.max_bullet_lines)
    return above("gopher.max_bullet_lines", ratio(bullets, lines), o.max_bullet_lines, "of the lines have bullets");
  if (ratio(ellipsis_lines, lines) > o.max_ellipsis_lines)
    return above("gopher.max_ellipsis_lines", ratio(ellipsis_lines, lines), o.max_ellipsis_lines,
                 "of the lines end in an ellipsis");
  const double alphabetic =
      ratio(std::count_if(scan.words.begin(), scan.words.end(), [](const Word& word) { return word.has_letter != 0; }),
            words);
  if (alphabetic < o.min_alphabetic_words)
    return below("gopher.min_alphabetic_words", alphabetic, o.min_alphabetic_words, "of the words have a letter");
  static const WordTable gopher_words = table_of(kGopherStopWords);
  int stop_words = o.min_stop_words;  // languages without a list pass
  if (language == Language::kEnglish || language == Language::kUnknown)
    stop_words = distinct_words(scan, gopher_words, o.min_stop_words);
  else if (has_function_words(language))
    stop_words = distinct_function_words(scan, language, o.min_stop_words);
  if (stop_words < o.min_stop_words)
    return below("gopher.min_stop_words", stop_words, o.min_stop_words, "different stop words");
  return std::nullopt;
}

Verdict fineweb_filter(const TextScan& scan, const FinewebOptions& o, HashCounter& counter) {
  const auto lines = static_cast<std::int64_t>(scan.lines.size());
  std::int64_t sentences = 0, duplicate_bytes = 0, bytes = 0;
  counter.reset(scan.lines.size());
  for (const Line& line : scan.lines) {
    const std::string_view text = text_of(scan, line);
    sentences += ends_sentence(text) ? 1 : 0;
    bytes += static_cast<std::int64_t>(text.size());
    if (counter.add(line_hash(text)) > 0) duplicate_bytes += static_cast<std::int64_t>(text.size());
  }
  if (ratio(sentences, lines) < o.min_line_punctuation)
    return below("fineweb.min_line_punctuation", ratio(sentences, lines), o.min_line_punctuation,
                 "of the lines end a sentence");
  const double shorts = ratio(short_lines(scan, o.short_line_length), lines);
  if (shorts > o.max_short_lines)
    return above("fineweb.max_short_lines", shorts, o.max_short_lines, "of the lines are short");
  if (ratio(duplicate_bytes, bytes) > o.max_duplicate_line_chars)
    return above("fineweb.max_duplicate_line_chars", ratio(duplicate_bytes, bytes), o.max_duplicate_line_chars,
                 "of the text is in repeated lines");
  const double breaks = ratio(scan.line_breaks, num_words(scan));
  if (breaks > o.max_newlines_per_word)
    return above("fineweb.max_newlines_per_word", breaks, o.max_newlines_per_word, "line breaks a word");
  return std::nullopt;
}

Verdict chinese_filter(const TextScan& scan, Language language, const ChineseOptions& o) {
  const std::int64_t characters = scan.num_letters(), visible = scan.characters - scan.white_space;
  if (characters < o.min_characters) return below("chinese.min_characters", characters, o.min_characters, "characters");
  if (characters > o.max_characters) return above("chinese.max_characters", characters, o.max_characters, "characters");
  const double han = ratio(scan.of(Script::kHan) + scan.of(Script::kKana), visible);
  if (han < o.min_han_share)
    return below("chinese.min_han_share", han, o.min_han_share, "of the characters are ideographs or kana");
  const double punctuation = ratio(scan.punctuation, visible);
  if (punctuation < o.min_punctuation_share)
    return below("chinese.min_punctuation_share", punctuation, o.min_punctuation_share, "punctuation");
  if (punctuation > o.max_punctuation_share)
    return above("chinese.max_punctuation_share", punctuation, o.max_punctuation_share, "punctuation");
  const double shorts = ratio(short_lines(scan, o.short_line_length), static_cast<std::int64_t>(scan.lines.size()));
  if (shorts > o.max_short_lines)
    return above("chinese.max_short_lines", shorts, o.max_short_lines, "of the lines are short");
  static const WordTable function_words = table_of(kChineseFunctionWords);
  if (language == Language::kChinese) {
    const int found = distinct_words(scan, function_words, o.min_function_characters);
    if (found < o.min_function_characters)
      return below("chinese.min_function_characters", found, o.min_function_characters, "different function words");
  }
  return std::nullopt;
}

Verdict c4_filter(const TextScan& scan, const C4Options& o) {
  if (o.no_curly_bracket && scan.text.find('{') != std::string_view::npos)
    return Drop{"c4.no_curly_bracket", "there is a {"};
  if (o.no_lorem_ipsum) {
    static const std::uint64_t lorem = word_hash("lorem"), ipsum = word_hash("ipsum");
    for (std::size_t i = 0; i + 1 < scan.words.size(); ++i)
      if (scan.words[i].hash == lorem && scan.words[i + 1].hash == ipsum)
        return Drop{"c4.no_lorem_ipsum", "there is a \"lorem ipsum\""};
  }
  std::int64_t sentences = 0;
  for (const Word& word : scan.words) sentences += ends_sentence(scan.text.substr(word.begin, word.length)) ? 1 : 0;
  if (sentences < o.min_sentences)
    return below<std::int64_t>("c4.min_sentences", sentences, o.min_sentences, "sentences");
  return std::nullopt;
}

}  // namespace hadal
