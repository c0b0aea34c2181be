#include "data/tokenizer/nfc.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>

#include "base/random.h"
#include "base/utf8.h"

namespace hadal {
namespace {

/// The library in one call, for well-formed text.
std::string by_library(const std::string& text) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto n =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  std::string result(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(n));
  std::free(mapped);
  return result;
}

TEST(Nfc, ByHand) {
  EXPECT_EQ(to_nfc("plain text"), "plain text");
  EXPECT_EQ(to_nfc("e\u0301"), "\u00E9");
  EXPECT_EQ(to_nfc("\u4E2De\u0301\u4E2D"), "\u4E2D\u00E9\u4E2D");
  EXPECT_EQ(to_nfc("a\u0301\u0323"), "\u1EA1\u0301");  // the mark below goes first
  EXPECT_EQ(to_nfc("\u1112\u1161\u11AB"), "\uD55C");
  EXPECT_EQ(to_nfc("\u212B\u2126\uF900"), "\u00C5\u03A9\u8C48");
  EXPECT_EQ(to_nfc("e\xFF\u0301\xE4\xB8"), "e\xFF\u0301\xE4\xB8");
  EXPECT_EQ(to_nfc(""), "");
}

TEST(Nfc, EveryCodePointAloneAndBetweenOthers) {
  std::string text;
  for (char32_t c = 0; c < 0x30000; c += c < 0x3400 ? 1 : 3) {
    if (c >= 0xD800 && c < 0xE000) continue;
    text.clear();
    append_utf8(text, c);
    ASSERT_EQ(to_nfc(text), by_library(text)) << static_cast<std::uint32_t>(c);
    text = "e" + text + "\u0301" + text;
    ASSERT_EQ(to_nfc(text), by_library(text)) << static_cast<std::uint32_t>(c);
  }
}

TEST(Nfc, RandomTextsEqualTheLibrary) {
  const char32_t starts[] = {0x20,   0x41,   0xC0,   0x300,  0x320,  0x340,  0x391,  0x5B0,  0x930,  0xBC6,  0xF71,
                             0x1100, 0x1161, 0x11A8, 0x1E00, 0x2126, 0x304B, 0x3099, 0x4E00, 0xAC00, 0xF900, 0x1D15E};
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    std::string text;
    for (std::uint64_t i = 0; i < 24; ++i) {
      const std::uint64_t bits = random_bits(seed, Stream::kTest, i);
      append_utf8(text, starts[bits % std::size(starts)] + static_cast<char32_t>((bits >> 16) % 16));
    }
    ASSERT_EQ(to_nfc(text), by_library(text)) << "seed " << seed;
  }
}

TEST(Nfc, ManyMarksInTheWrongOrder) {
  // Swapping neighbours until all are in order would take 10^9 steps.
  std::string text = "a", wanted = "\u1EA1";
  for (int i = 0; i < 50'000; ++i) text += "\u0301\u0323";
  for (int i = 0; i < 50'000 - 1; ++i) wanted += "\u0323";
  for (int i = 0; i < 50'000; ++i) wanted += "\u0301";
  EXPECT_TRUE(to_nfc(text) == wanted);
}

}  // namespace
}  // namespace hadal
