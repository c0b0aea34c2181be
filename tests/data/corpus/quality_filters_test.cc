#include "data/corpus/quality_filters.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace hadal {
namespace {

constexpr std::string_view kProse =
    "The heart of the old town is a square that has been there since the middle ages. People meet in it to buy and to "
    "sell, and in summer there is music on most evenings.\n"
    "A visitor who comes with the train will find the station to be a short walk from all of this. The river is not "
    "far "
    "either: follow the road that leads down from the church, and cross the bridge.\n"
    "Those who have more than one day should not leave without a walk up the hill. From there, one can see the whole "
    "valley, with its fields, its villages and the mountains behind them.";

TextScan scan_of(std::string_view text) {
  TextScan scan;
  scan_text(text, scan);
  return scan;
}
std::string gopher(std::string_view text, const GopherOptions& o = {}, Language language = Language::kEnglish) {
  const Verdict v = gopher_filter(scan_of(text), language, o);
  return v ? v->filter : "";
}
std::string repetition(std::string_view text, Language language = Language::kEnglish) {
  HashCounter counter;
  const Verdict v = repetition_filter(scan_of(text), language, {}, counter);
  return v ? v->filter : "";
}
std::string fineweb(std::string_view text) {
  HashCounter counter;
  const Verdict v = fineweb_filter(scan_of(text), {}, counter);
  return v ? v->filter : "";
}
std::string times(std::string_view text, int n) {
  std::string all;
  for (int i = 0; i < n; ++i) all += text;
  return all;
}

TEST(QualityFilters, ProsePasses) {
  EXPECT_EQ(gopher(kProse), "");
  EXPECT_EQ(repetition(kProse), "");
  EXPECT_EQ(fineweb(kProse), "");
  EXPECT_FALSE(c4_filter(scan_of(kProse), {}));
}

TEST(QualityFilters, Gopher) {
  const std::string prose(kProse);
  EXPECT_EQ(gopher("Too short to be of any use."), "gopher.min_words");
  EXPECT_EQ(gopher(kProse, {.max_words = 50}), "gopher.max_words");
  EXPECT_EQ(gopher(times("a b to of and c d ", 20)), "gopher.min_mean_word_length");
  EXPECT_EQ(gopher(times("internationalisation antidisestablishmentarianism the and ", 30)),
            "gopher.max_mean_word_length");
  EXPECT_EQ(gopher(prose + times(" #tag", 20)), "gopher.max_symbol_ratio");
  EXPECT_EQ(gopher(prose + times(" so...", 30)), "gopher.max_symbol_ratio");
  EXPECT_EQ(gopher(times("- one of the things that we have to buy with money\n", 12)), "gopher.max_bullet_lines");
  EXPECT_EQ(gopher(times("one of the many things that we have to buy with all of our money and more of it...\n", 5)),
            "gopher.max_ellipsis_lines");
  EXPECT_EQ(gopher(prose + times(" 1234 56789", 40)), "gopher.min_alphabetic_words");
  EXPECT_EQ(gopher(times("buy cheap watches online today ", 20)), "gopher.min_stop_words");
  // Stop words are those of the language.
  const std::string german = times("Wir gehen heute nach Hause und kaufen dann noch etwas ein bei der Stadt. ", 5);
  EXPECT_EQ(gopher(german, {}, Language::kGerman), "");
  EXPECT_EQ(gopher(german, {}, Language::kEnglish), "gopher.min_stop_words");
}

TEST(QualityFilters, Repetition) {
  const std::string prose(kProse);
  EXPECT_EQ(repetition(times(prose + "\n", 2)), "repetition.max_duplicate_lines");
  // Few lines, much of the text.
  EXPECT_EQ(repetition("one\ntwo\nthree\nfour\nfive\n" + times("a longer line of all sorts of words, again\n", 2)),
            "repetition.max_duplicate_line_chars");
  EXPECT_EQ(repetition("A word\n\nA word\n\nthe first\nand second\nthen third\nor fourth\nnext fifth\nwith sixth"),
            "repetition.max_duplicate_paragraphs");
  EXPECT_EQ(repetition(prose + times(" buy now!", 60)), "repetition.max_top_ngram_chars[0]");
  // A sentence that comes again inside one line: no line is repeated, no short n-gram is too frequent.
  const std::string sentence = "Follow the road that leads down from the church, and cross the bridge to the station. ";
  EXPECT_EQ(repetition(prose + " " + sentence + sentence), "repetition.max_duplicate_ngram_chars[0]");
}

TEST(QualityFilters, RepetitionOfCharactersInChinese) {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    const auto c = static_cast<unsigned>(random_below(5, Stream::kTest, static_cast<std::uint64_t>(i), 2000)) + 0x4E00;
    text += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
             static_cast<char>(0x80 | (c & 0x3F))};
  }
  EXPECT_EQ(repetition(text, Language::kChinese), "");
  EXPECT_EQ(repetition(text + text.substr(0, 180), Language::kChinese), "repetition.max_duplicate_ngram_chars[0]");
}

TEST(QualityFilters, Fineweb) {
  EXPECT_EQ(
      fineweb(times("a line of some words without an end to it and so on\n", 1) + std::string(kProse.substr(0, 40))),
      "fineweb.min_line_punctuation");
  EXPECT_EQ(fineweb("Home.\nNews.\nContact.\nAbout us.\nA longer line that ends with something like a point here."),
            "fineweb.max_short_lines");
  EXPECT_EQ(fineweb(std::string(kProse) + "\nA line that is repeated in it.\nA line that is repeated in it."),
            "fineweb.max_duplicate_line_chars");
  EXPECT_EQ(
      fineweb("One, a longer line than thirty letters.\n\n\n\n\n\nTwo, a longer line than thirty letters.\n\n\n\n\n"),
      "fineweb.max_newlines_per_word");
}

TEST(QualityFilters, C4) {
  C4Options o;
  const std::string prose(kProse);
  EXPECT_EQ(c4_filter(scan_of(prose + " { }"), o)->filter, "c4.no_curly_bracket");
  EXPECT_EQ(c4_filter(scan_of(prose + " Lorem ipsum dolor"), o)->filter, "c4.no_lorem_ipsum");
  EXPECT_EQ(c4_filter(scan_of("One. Two. Three. Four."), o)->filter, "c4.min_sentences");
}

TEST(QualityFilters, Chinese) {
  const auto chinese = [](std::string_view text) {
    const Verdict v = chinese_filter(scan_of(text), Language::kChinese, {});
    return v ? v->filter : "";
  };
  std::string prose;
  for (int i = 0; i < 5; ++i)
    prose +=
        "\u8FD9\u4E2A\u57CE\u5E02\u7684\u4E2D\u5FC3\u662F\u4E00\u4E2A\u53E4\u8001\u7684\u5E7F\u573A\uFF0C\u4EBA\u4EEC"
        "\u5728\u90A3"
        "\u91CC\u4E70\u5356\u4E1C\u897F\uFF0C\u4E5F\u5728\u590F\u5929\u7684\u665A\u4E0A\u542C\u97F3\u4E50\u3002";
  EXPECT_EQ(chinese(prose), "");
  EXPECT_EQ(chinese(prose.substr(0, 90)), "chinese.min_characters");
  EXPECT_EQ(chinese(prose + times(" abcdefghij", 60)), "chinese.min_han_share");
  EXPECT_EQ(chinese(times("\u4E2D\u56FD\u4EBA\u6C11", 40)), "chinese.min_punctuation_share");
  EXPECT_EQ(chinese(prose + times("\uFF01\u3002", 120)), "chinese.max_punctuation_share");
  EXPECT_EQ(chinese(times("\u4E2D\u56FD\u4EBA\u6C11\uFF0C\n", 40)), "chinese.max_short_lines");
  EXPECT_EQ(chinese(times("\u57CE\u5E02\u5E7F\u573A\u97F3\u4E50\u665A\u590F\u5929\u542C\uFF0C", 20)),
            "chinese.min_function_characters");
}

}  // namespace
}  // namespace hadal
