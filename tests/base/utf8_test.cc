#include "base/utf8.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

TEST(Utf8, EveryCodePointRoundTrips) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 7) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const CodePoint back = decode_utf8(text.data(), text.data() + text.size());
    ASSERT_EQ(back.value, c);
    ASSERT_EQ(static_cast<std::size_t>(back.length), text.size());
    ASSERT_EQ(well_formed_prefix(text), text.size());
    ASSERT_EQ(last_character("a" + text).value, c);
    ASSERT_EQ(last_character(text + "\x80").length, 0);
    for (std::size_t cut = 1; cut < text.size(); ++cut) ASSERT_EQ(incomplete_suffix("ab" + text.substr(0, cut)), cut);
    ASSERT_EQ(incomplete_suffix(text), 0U);
  }
}

TEST(Utf8, IllFormedSequences) {
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE4\xB8", "\xF0\x9F\x9A"}) {
    const std::string text = bad;
    EXPECT_EQ(decode_utf8(text.data(), text.data() + text.size()).length, 0);
    EXPECT_EQ(well_formed_prefix("0123456789" + text), 10U);
  }
}

TEST(Utf8, ReplacesMaximalParts) {
  // The example of the Unicode standard, table 3-8, and its neighbours.
  EXPECT_EQ(replace_ill_formed("a\xF1\x80\x80\xE1\x80\xC2"
                               "b\x80"
                               "c\x80\xBF"
                               "d"),
            std::string("a") + kReplacement + kReplacement + kReplacement + "b" + kReplacement + "c" + kReplacement +
                kReplacement + "d");
  EXPECT_EQ(replace_ill_formed("\xE4\xB8"), kReplacement);
  EXPECT_EQ(replace_ill_formed("\xED\xA0\x80"), std::string(kReplacement) + kReplacement + kReplacement);
  EXPECT_EQ(replace_ill_formed("plain"), "plain");
}

}  // namespace
}  // namespace hadal
