#include "data/tokenizer/splitter.h"

#include <gtest/gtest.h>

#include <ctime>

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "data/tokenizer/presets.h"
#include "data/tokenizer/unicode_classes.h"

namespace hadal {
namespace {

std::vector<std::string> pieces_of(const Splitter& splitter, std::string_view text) {
  std::vector<std::string> pieces;
  static Regex::Workspace workspace;  // making one takes longer than most tests
  splitter.split(text, workspace, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

using Pieces = std::vector<std::string>;

TEST(Splitter, DeepseekV3ByHand) {
  const Splitter splitter(preset_splits("deepseek-v3"));
  EXPECT_EQ(pieces_of(splitter, "Hello, world!\n"), (Pieces{"Hello", ",", " world", "!\n"}));
  EXPECT_EQ(pieces_of(splitter, "12345 x"), (Pieces{"123", "45", " x"}));
  EXPECT_EQ(pieces_of(splitter, "a  b"), (Pieces{"a", " ", " b"}));
  EXPECT_EQ(pieces_of(splitter, "a \n\n  b  "), (Pieces{"a", " \n\n", " ", " b", "  "}));
  EXPECT_EQ(pieces_of(splitter, "x.foo ..."), (Pieces{"x", ".foo", " ..."}));
  EXPECT_EQ(pieces_of(splitter, "\u30C6\u30FB\u30B9 1"), (Pieces{"\u30C6", "\u30FB", "\u30B9", " ", "1"}));
  EXPECT_EQ(pieces_of(splitter, std::string("\0\1a", 3)), (Pieces{std::string(1, '\0'), "\1a"}));
  EXPECT_EQ(pieces_of(splitter, ""), Pieces{});
}

TEST(Splitter, IllFormedBytesArePiecesOfTheirOwn) {
  const Splitter splitter(preset_splits("deepseek-v3"));
  EXPECT_EQ(pieces_of(splitter,
                      "ab\xFF\xC0"
                      "cd\xE4\xB8"),
            (Pieces{"ab", "\xFF\xC0", "cd", "\xE4\xB8"}));
}

TEST(Splitter, TheScannerEqualsTheRegexes) {
  const Splitter scanner(preset_splits("deepseek-v3"));
  const Splitter regexes(preset_splits("deepseek-v3"), /*allow_scanner=*/false);
  // Code points of every kind of block, dense in ASCII and around the borders of the classes.
  const char32_t starts[] = {0x00,   0x20,   0x30,   0x60,    0x80,    0xA0,    0x300,   0x660,  0x1680,
                             0x180C, 0x2000, 0x2028, 0x2150,  0x3000,  0x3040,  0x3097,  0x30F8, 0x4DFE,
                             0x9FA0, 0xAC00, 0xFF01, 0x10000, 0x1D7CE, 0x1F600, 0x20000, 0xE0100};
  for (std::uint64_t seed = 0; seed < 6000; ++seed) {
    std::string text;
    const std::uint64_t length = 1 + random_bits(seed, Stream::kTest, 0) % 24;
    for (std::uint64_t i = 1; i <= length; ++i) {
      const std::uint64_t bits = random_bits(seed, Stream::kTest, i);
      if (bits % 3 == 0) {
        text += "  \t\n\r a9."[(bits >> 8) % 9];
      } else {
        append_utf8(text, starts[(bits >> 8) % std::size(starts)] + static_cast<char32_t>((bits >> 20) % 32));
      }
    }
    ASSERT_EQ(pieces_of(scanner, text), pieces_of(regexes, text)) << "seed " << seed << ": " << text;
  }
}

TEST(Splitter, EveryCodePointIsClassedAsTheRegexesDo) {
  const Splitter scanner(preset_splits("deepseek-v3"));
  const Splitter regexes(preset_splits("deepseek-v3"), /*allow_scanner=*/false);
  std::string text;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    append_utf8(text, c);
    text += c % 2 == 0 ? "a" : ".";
    if (c % 0x4000 != 0x3FFF) continue;
    ASSERT_EQ(pieces_of(scanner, text), pieces_of(regexes, text)) << "up to " << static_cast<std::uint32_t>(c);
    text.clear();
  }
}

TEST(Splitter, Gpt2) {
  const Splitter splitter(preset_splits("gpt-2"));
  EXPECT_EQ(pieces_of(splitter, "I'm 42  years"), (Pieces{"I", "'m", " 42", " ", " years"}));
}

TEST(Splitter, VeryLongRunsThroughTheRegexEngine) {
  for (const char* preset : {"deepseek-v3", "gpt-2"}) {
    const Splitter regexes(preset_splits(preset), /*allow_scanner=*/false);
    for (const char* unit : {"a", " ", "\n", "\u4E2D", "!", "\u0301"}) {
      std::string text;
      for (int i = 0; i < 300000; ++i) text += unit;
      std::string joined;
      for (const std::string& piece : pieces_of(regexes, text)) joined += piece;
      EXPECT_EQ(joined, text);
    }
  }
}

TEST(Splitter, NoInputTakesQuadraticTime) {
  const auto cpu_seconds = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  for (const PreTokenizer& pre : pre_tokenizers()) {
    const Splitter splitter(pre.splits);
    Regex::Workspace workspace;
    // Runs of one kind, alone and before something that ends them.
    for (const char* unit : {"a", " ", "\U0001F680", "\u4E2D", "\n", "'", "7", "\u0301", " \t", "\x01"}) {
      for (const char* last : {"", "7", "x", "\n", "\U0001F680"}) {
        const auto seconds = [&](std::size_t bytes) {
          std::string text;
          while (text.size() < bytes) text += unit;
          text += last;
          std::size_t total = 0;
          const double start = cpu_seconds();
          splitter.split(text, workspace, [&](std::string_view piece) { total += piece.size(); });
          EXPECT_EQ(total, text.size());
          return cpu_seconds() - start;
        };
        // Sixteen times the text: quadratic work would take 256 times as long.
        double growth = 1000;
        for (int attempt = 0; attempt < 4 && growth >= 64; ++attempt) {
          const double small = std::max(seconds(2'000), 2e-4);
          growth = seconds(32'000) / small;
        }
        EXPECT_LT(growth, 64) << pre.name << ": " << unit << " before " << last;
      }
    }
  }
}

TEST(Splitter, WhiteSpaceAtTheEnd) {
  const Splitter splitter({"\\s+$"});
  EXPECT_EQ(pieces_of(splitter, "a  b  "), (Pieces{"a  b", "  "}));
  EXPECT_EQ(pieces_of(splitter, "a  \n b"), (Pieces{"a", "  ", "\n b"}));  // $ is the end of a line
  EXPECT_EQ(pieces_of(splitter, " \n\n "), (Pieces{" \n\n "}));
}

TEST(Regex, RefusesWhatOtherEnginesReadDifferently) {
  EXPECT_THROW(Regex("\\h+"), Error);
  EXPECT_THROW(Regex("\\K"), Error);
  EXPECT_THROW(Regex("a\\"), Error);
  EXPECT_THROW(Regex("(a"), Error);
  EXPECT_THROW(Regex(std::string(1 << 20, 'a')), Error);
}

TEST(Regex, AHostilePatternHitsTheStepLimit) {
  const Regex regex("(a+)+[bc]");
  Regex::Workspace workspace;
  EXPECT_THROW(static_cast<void>(regex.find(std::string(64, 'a') + "d", 0, workspace)), Error);
}

TEST(Regex, UnicodeWhiteSpace) {
  const Regex regex("\\s");
  Regex::Workspace workspace;
  EXPECT_FALSE(regex.find("\u180E", 0, workspace));
  EXPECT_TRUE(regex.find("\u0085", 0, workspace));
  EXPECT_TRUE(regex.find("\u3000", 0, workspace));
}

TEST(Splitter, EmptyMatchesSeparateNothing) {
  const Splitter splitter({"a*"});
  EXPECT_EQ(pieces_of(splitter,
                      "bc\u00E9"
                      "aab"),
            (Pieces{"bc\u00E9", "aa", "b"}));
}

}  // namespace
}  // namespace hadal
