#include "infer/reasoning.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "support/byte_tokenizer.h"

namespace hadal {
namespace {

const Tokenizer& with_tags() {
  static const Tokenizer t(byte_tokenizer_files());
  return t;
}
const Tokenizer& without_tags() {
  static const Tokenizer t(byte_tokenizer_files(/*with_think=*/false));
  return t;
}

struct Parts {
  std::string reasoning, content;
  bool operator==(const Parts&) const = default;
};
void PrintTo(const Parts& p, std::ostream* out) {
  *out << "{" << testing::PrintToString(p.reasoning) << ", " << testing::PrintToString(p.content) << "}";
}

std::vector<int> ids(const Tokenizer& tokenizer, const std::string& text, bool tags = true) {
  return tokenizer.encode(text, {.parse_special = tags});
}

/// The text of a token is shown `delay` tokens later, as when it might begin a stop text.
Parts split(const Tokenizer& tokenizer, const std::vector<int>& tokens, bool inside, std::size_t delay = 0) {
  ReasoningSplitter splitter(tokenizer, inside);
  StreamDecoder decoder(tokenizer);
  std::vector<std::string> texts;
  for (const int token : tokens) texts.push_back(decoder.push(token));
  texts.push_back(decoder.finish());
  Parts parts;
  const auto add = [&](const ReasoningSplitter::Piece& piece) {
    parts.reasoning += piece.reasoning;
    parts.content += piece.content;
  };
  std::size_t shown = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string text;
    if (i % (delay + 1) == delay)
      while (shown <= i) text += texts[shown++];
    add(splitter.push(tokens[i], text));
  }
  std::string rest;
  while (shown < texts.size()) rest += texts[shown++];
  add(splitter.push(-1, rest));
  add(splitter.finish());
  return parts;
}

TEST(Reasoning, PartsAreWhatStandsInsideAndBehind) {
  const struct {
    const char* text;
    bool inside;
    Parts wanted;
  } cases[] = {
      {"<think>\nI see.\n</think>\n\nYes.", false, {"I see.", "Yes."}},
      {"\nI see.\n</think>\n\nYes.\n", true, {"I see.", "Yes.\n"}},
      {"  \n<think>a b</think>c", false, {"a b", "c"}},
      {"No thinking.", false, {"", "No thinking."}},
      {" leading space stays", false, {"", " leading space stays"}},
      {"cut while thinking", true, {"cut while thinking", ""}},
      {"</think>answer", true, {"", "answer"}},
      {"</think>answer", false, {"", "answer"}},
      {"\n\n</think>\n\nanswer", true, {"", "answer"}},
      {"a\n\nb</think>c\n\nd", true, {"a\n\nb", "c\n\nd"}},
      {"Say <think> here", false, {"", "Say <think> here"}},
      {"x</think>y</think>z", true, {"x", "y</think>z"}},
      {"x<think>y</think>z", true, {"x<think>y", "z"}},
      {"", false, {"", ""}},
      {" \n", false, {"", " \n"}},
      {"\xC3\xA9</think>\xC3\xA9", true, {"\xC3\xA9", "\xC3\xA9"}},
  };
  for (const auto& c : cases) {
    for (const Tokenizer* tokenizer : {&with_tags(), &without_tags()}) {
      for (std::size_t delay = 0; delay < 12; ++delay) {
        SCOPED_TRACE(testing::Message() << c.text << (tokenizer == &with_tags() ? " by token" : " by text")
                                        << ", delay " << delay);
        EXPECT_EQ(split(*tokenizer, ids(*tokenizer, c.text), c.inside, delay), c.wanted);
      }
    }
  }
}

TEST(Reasoning, LettersAreNoTagWhereThereIsATokenForIt) {
  std::vector<int> tokens = ids(with_tags(), "they write </think> there", /*tags=*/false);
  tokens.push_back(kByteThinkEnd);
  tokens.push_back('!');
  EXPECT_EQ(split(with_tags(), tokens, true), (Parts{"they write </think> there", "!"}));
}

TEST(Reasoning, SpecialTagsHaveNoTextAtAll) {
  TokenizerFiles files = byte_tokenizer_files(false);
  for (const char* tag : {"<think>", "</think>"}) {
    files.spec.added_tokens.push_back({.id = files.spec.vocab_size(), .content = tag, .special = true});
    files.spec.tokens.push_back({.bytes = tag, .literal = true});
  }
  const Tokenizer tokenizer(files);
  for (std::size_t delay = 0; delay < 6; ++delay)
    EXPECT_EQ(split(tokenizer, ids(tokenizer, "<think>why</think>so"), false, delay), (Parts{"why", "so"}));
}

TEST(Reasoning, InsideFollowsTheTokens) {
  ReasoningSplitter splitter(with_tags(), false);
  EXPECT_FALSE(splitter.inside());
  splitter.push(kByteThink, "<think>");
  EXPECT_TRUE(splitter.inside());
  splitter.push(kByteThinkEnd, "</think>");
  EXPECT_FALSE(splitter.inside());
}

}  // namespace
}  // namespace hadal
