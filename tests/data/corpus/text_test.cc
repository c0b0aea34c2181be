// What is told of one text: cleaning, words, language, class.
#include <gtest/gtest.h>

#include "data/corpus/boilerplate.h"
#include "data/corpus/clean_text.h"
#include "data/corpus/language.h"
#include "data/corpus/text_class.h"
#include "data/corpus/word_table.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

TEST(CleanText, MakesTextUniform) {
  const auto clean = [](std::string_view text) { return clean_text(text, {}).value(); };
  EXPECT_EQ(clean("a\r\nb\rc\u2028d  \n\n\n\n e\t\n\n"), "a\nb\nc\nd\n\n e");
  EXPECT_EQ(clean("\n\nx\x01y\x7Fz\u200B\uFEFF\u00AD!\x0B"), "xyz!");
  EXPECT_EQ(clean("e\u0301 \u1100\u1161 \u304B\u3099"), "\u00E9 \uAC00 \u304C");         // NFC
  EXPECT_EQ(clean("\u0646\u0645\u06CC\u200C\u062E"), "\u0646\u0645\u06CC\u200C\u062E");  // the joiner has a meaning
  EXPECT_EQ(clean(""), "");
  EXPECT_EQ(
      clean_text("e\u0301\x01\u200B", {.nfc = false, .remove_zero_width = false, .remove_control = false}).value(),
      "e\u0301\x01\u200B");
}

TEST(CleanText, IllFormedBytes) {
  const CleanOptions lenient{.max_ill_formed_share = 0.5};
  EXPECT_EQ(clean_text("good\xFF\xFE text \xC3 \xE4\xB8 end", lenient).value(), "good\uFFFD text \uFFFD \uFFFD end");
  EXPECT_EQ(clean_text(std::string_view("a\0b and c", 9), lenient).value(), "a\uFFFDb and c");
  EXPECT_NE(clean_text("\xFF\xFE\xFD text", {}).message().find("UTF-8"), std::string::npos);
}

TEST(TextScan, WordsLinesAndScripts) {
  TextScan scan;
  scan_text("Hello, WORLD 42!\n\n\u4E2D\u6587 \u3042 -- caf\u00E9\u3002x", scan);
  std::vector<std::string> words;
  for (const Word& word : scan.words) words.emplace_back(scan.text.substr(word.begin, word.length));
  EXPECT_EQ(words,
            (std::vector<std::string>{"Hello,", "WORLD", "42!", "\u4E2D", "\u6587", "\u3042", "--", "caf\u00E9", "x"}));
  EXPECT_EQ(scan.words[0].hash, word_hash("hello"));
  EXPECT_NE(scan.words[0].hash, scan.words[1].hash);
  EXPECT_EQ(scan.words[6].hash, 0U);
  EXPECT_EQ(scan.words[7].hash, word_hash("CAF\u00E9"));
  EXPECT_EQ(scan.words[2].has_letter, 0U);
  ASSERT_EQ(scan.lines.size(), 2U);
  EXPECT_EQ(scan.lines[1].first_word, 3U);
  EXPECT_EQ(scan.of(Script::kLatin), 15);
  EXPECT_EQ(scan.of(Script::kHan), 2);
  EXPECT_EQ(scan.of(Script::kKana), 1);
  EXPECT_EQ(scan.digits, 2);
  EXPECT_EQ(scan.line_breaks, 2);
  EXPECT_EQ(scan.characters, 32);
  scan_text("", scan);
  EXPECT_TRUE(scan.words.empty() && scan.lines.empty());
}

std::string language_of(std::string_view text) {
  TextScan scan;
  scan_text(text, scan);
  return std::string(kLanguageCodes[static_cast<std::size_t>(identify_language(scan).language)]);
}

TEST(Language, OfSentences) {
  EXPECT_EQ(language_of("The results of this study show that the method is better than what was known before."), "en");
  EXPECT_EQ(language_of("Die Ergebnisse der Studie zeigen, dass das Verfahren besser ist als die bisher bekannten."),
            "de");
  EXPECT_EQ(
      language_of("Les r\u00E9sultats de cette \u00E9tude montrent que la m\u00E9thode est meilleure que les autres."),
      "fr");
  EXPECT_EQ(language_of("Los resultados de este estudio muestran que el m\u00E9todo es mejor que los conocidos."),
            "es");
  EXPECT_EQ(language_of("I risultati di questo studio mostrano che il metodo \u00E8 migliore di quelli noti."), "it");
  EXPECT_EQ(
      language_of("Os resultados deste estudo mostram que o m\u00E9todo n\u00E3o \u00E9 melhor do que os outros."),
      "pt");
  EXPECT_EQ(language_of("De resultaten van het onderzoek laten zien dat de methode beter is dan wat bekend was."),
            "nl");
  EXPECT_EQ(language_of("\u7814\u7A76\u7ED3\u679C\u8868\u660E\uFF0C\u8BE5\u65B9\u6CD5\u4F18\u4E8E CPU "
                        "\u4E0A\u7684\u5DF2\u77E5\u65B9\u6CD5\u3002"),
            "zh");
  EXPECT_EQ(language_of("\u3053\u306E\u7814\u7A76\u306E\u7D50\u679C\u306F\u6709\u52B9\u3067\u3059\u3002"), "ja");
  EXPECT_EQ(language_of("\uC774 \uC5F0\uAD6C\uC758 \uACB0\uACFC\uB294 \uB2E4\uC74C\uACFC \uAC19\uB2E4."), "ko");
  EXPECT_EQ(language_of("\u0420\u0435\u0437\u0443\u043B\u044C\u0442\u0430\u0442\u044B \u044D\u0442\u043E\u0433\u043E "
                        "\u0438\u0441\u0441\u043B\u0435\u0434\u043E\u0432\u0430\u043D\u0438\u044F."),
            "ru");
  EXPECT_EQ(language_of("\u0420\u0435\u0437\u0443\u043B\u044C\u0442\u0430\u0442\u0438 \u0446\u0456\u0454\u0457 "
                        "\u0440\u043E\u0431\u043E\u0442\u0438."),
            "uk");
  EXPECT_EQ(language_of("\u062A\u0638\u0647\u0631 \u0646\u062A\u0627\u0626\u062C \u0647\u0630\u0647 "
                        "\u0627\u0644\u062F\u0631\u0627\u0633\u0629"),
            "ar");
  EXPECT_EQ(language_of("\u0646\u062A\u0627\u06CC\u062C \u0627\u06CC\u0646 \u067E\u0698\u0648\u0647\u0634"), "fa");
  EXPECT_EQ(language_of("xkcd qwerty zxcvb asdf 123 lorem"), "und");
  EXPECT_EQ(language_of("12 + 34"), "und");
  EXPECT_NE(error_of([] { parse_language("english"); }).find("english"), std::string::npos);
}

TextClass class_of(std::string_view text) {
  TextScan scan;
  scan_text(text, scan);
  return classify_text(scan);
}

TEST(TextClass, CodeMathProse) {
  EXPECT_EQ(class_of("#include <cstdio>\n\nint main(int argc, char** argv) {\n  for (int i = 0; i < argc; ++i) {\n"
                     "    std::printf(\"%s\\n\", argv[i]);\n  }\n  return 0;\n}\n"),
            TextClass::kCode);
  EXPECT_EQ(class_of("import os\n\ndef walk(path):\n    total = 0\n    for name in os.listdir(path):\n"
                     "        total += os.path.getsize(name)\n    return total\n"),
            TextClass::kCode);
  EXPECT_EQ(class_of("Let $x^2 = 4$. Then \\frac{x}{2} = 1 and by the lemma above the equation x=2 holds; the proof of "
                     "the theorem is complete since \\sqrt{4} = 2."),
            TextClass::kMath);
  EXPECT_EQ(
      class_of("Natalia sold 48/2 = <<48/2=24>>24 clips in May. Altogether she sold 48+24 = <<48+24=72>>72 clips."),
      TextClass::kMath);
  EXPECT_EQ(class_of("The function of the heart is to pump blood; see page 3 (and the next one) for more: it is long."),
            TextClass::kProse);
  EXPECT_EQ(class_of(""), TextClass::kProse);
}

TEST(Boilerplate, PhrasesInLinesGo) {
  TextScan scan;
  scan_text("Keep this.\n\nPlease accept our Cookie-Policy and Privacy POLICY.\n\nAnd this.", scan);
  const PhraseFinder phrases({"privacy policy"});
  const auto removed = remove_lines(scan, [&](const Line& line) { return phrases.found_in(scan, line); });
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(removed->text, "Keep this.\n\nAnd this.");
  EXPECT_EQ(removed->lines, 1);
  EXPECT_FALSE(remove_lines(scan, [](const Line&) { return false; }).has_value());
  EXPECT_NE(error_of([] { PhraseFinder({"..."}); }).find("..."), std::string::npos);
}

TEST(Boilerplate, C4RemovesLines) {
  TextScan scan;
  scan_text("A line that ends a sentence.\nA line that does not\nShort one.\nIs this one kept?", scan);
  const auto removed = remove_lines(scan, [&](const Line& line) { return c4_removes(scan, line, {}); });
  EXPECT_EQ(removed.value().text, "A line that ends a sentence.\nIs this one kept?");
}

}  // namespace
}  // namespace hadal
