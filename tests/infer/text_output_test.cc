#include "infer/text_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/utf8.h"
#include "support/byte_tokenizer.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;

const Tokenizer& tokenizer() {
  static const Tokenizer t(byte_tokenizer_files());
  return t;
}

struct Shown {
  std::string text;                 // all pieces together
  std::vector<std::string> pieces;  // one per id
  bool stopped = false;
  std::size_t used = 0;  // ids until the stop
};

Shown run(const std::vector<int>& ids, const std::vector<std::string>& stops, bool skip_special = true,
          int min_tokens = 0) {
  TextOutput output(tokenizer(), stops, skip_special, min_tokens);
  Shown result;
  for (const int id : ids) {
    const TextOutput::Piece piece = output.push(id);
    EXPECT_EQ(well_formed_prefix(piece.text), piece.text.size());
    result.text += piece.text;
    result.pieces.push_back(piece.text);
    ++result.used;
    if ((result.stopped = piece.stopped)) break;
  }
  result.text += output.finish();
  EXPECT_EQ(output.finish(), "");
  return result;
}

std::vector<int> bytes(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()),
          reinterpret_cast<const unsigned char*>(text.data()) + text.size()};
}

TEST(TextOutput, ShowsEveryCharacterAsSoonAsItIsWhole) {
  const Shown r = run(bytes("a\xC3\xA9!"), {});
  EXPECT_EQ(r.pieces, (std::vector<std::string>{"a", "", "\xC3\xA9", "!"}));
  EXPECT_FALSE(r.stopped);
  EXPECT_EQ(run(bytes("a\xC3"), {}).text, "a\xEF\xBF\xBD");
}

TEST(TextOutput, HoldsBackWhatMayBecomeAStop) {
  const Shown r = run(bytes("xabay"), {"abc"});
  EXPECT_EQ(r.pieces, (std::vector<std::string>{"x", "", "", "ab", "ay"}));
  EXPECT_FALSE(r.stopped);
  const Shown held = run(bytes("xab"), {"abc"});
  EXPECT_EQ(held.text, "xab") << "what was held back comes at the end";
}

TEST(TextOutput, CutsTheStopAndWhatFollows) {
  const Shown r = run(bytes("one\n\ntwo"), {"\n\n"});
  EXPECT_EQ(r.text, "one");
  EXPECT_TRUE(r.stopped);
  EXPECT_EQ(r.used, 5U);
  TextOutput output(tokenizer(), {"a"});
  output.push('a');
  EXPECT_THAT(error_of([&] { output.push('b'); }), HasSubstr("after the stop text"));
}

TEST(TextOutput, OverlappingBeginnings) {
  EXPECT_EQ(run(bytes("aaab"), {"aab"}).text, "a");
  EXPECT_EQ(run(bytes("ababac"), {"abac"}).text, "ab");
  // Of texts that end at one place the longest counts; one that ends earlier comes first.
  EXPECT_EQ(run(bytes("xyz"), {"z", "yz"}).text, "x");
  EXPECT_EQ(run(bytes("xyz"), {"xyz", "y"}).text, "x");
}

TEST(TextOutput, SpecialTokensAreShownOnlyWhenAsked) {
  EXPECT_EQ(run({'a', kByteEos, 'b'}, {}).text, "ab");
  EXPECT_EQ(run({'a', kByteEos, 'b'}, {}, false).text, "a<eos>b");
  EXPECT_EQ(run({kByteThink, 'a', kByteThinkEnd}, {}).text, "<think>a</think>");
  EXPECT_EQ(run({'a', kByteThinkEnd, 'b'}, {"</think>"}).text, "a");
}

TEST(TextOutput, StopsAreNotLookedForBeforeMinTokens) {
  EXPECT_EQ(run(bytes("a.b.c."), {"."}, true, 3).text, "a.b");
  EXPECT_EQ(run(bytes("a.b.c."), {"."}, true, 4).text, "a.b");
  EXPECT_EQ(run(bytes("a.b.c."), {"."}, true, 5).text, "a.b.c");
  EXPECT_EQ(run(bytes("a.b.c."), {"."}, true, 9).text, "a.b.c.");
  EXPECT_EQ(run(bytes("."), {"."}, true, 1).text, "");
}

TEST(TextOutput, BadStopsAreRefused) {
  EXPECT_THAT(error_of([] { TextOutput(tokenizer(), {"a", ""}); }), HasSubstr("empty"));
  EXPECT_THAT(error_of([] { TextOutput(tokenizer(), {"\xFF"}); }), HasSubstr("no UTF-8"));
}

// However the bytes are cut into tokens, the text is what a search in the whole of it gives.
TEST(TextOutput, AnyCutIntoTokensGivesTheSameText) {
  TokenizerFiles files = byte_tokenizer_files();
  const std::vector<std::string> parts = {"a",
                                          "b",
                                          "ab",
                                          "ba",
                                          "aab",
                                          "\xC3",
                                          "\xA9",
                                          "\xC3\xA9"
                                          "a",
                                          "bbb",
                                          "a\xC3"};
  const int first = files.spec.vocab_size();
  for (const std::string& part : parts) files.spec.tokens.push_back({.bytes = part});
  const Tokenizer many(files);
  const std::vector<std::string> candidates = {"aba",
                                               "bb",
                                               "b\xC3\xA9"
                                               "a",
                                               "aabaab",
                                               "\xC3\xA9",
                                               "abbab",
                                               "baaaa"};
  int stopped = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    auto random = [&, i = std::uint64_t{0}](std::uint64_t n) mutable {
      return random_below(seed, Stream::kTest, i++, n);
    };
    std::vector<std::string> stops;
    for (std::uint64_t n = random(4); n > 0; --n) stops.push_back(candidates[random(candidates.size())]);
    TextOutput output(many, stops);
    std::string all, shown;
    bool ended = false;
    for (std::uint64_t n = random(14); n > 0 && !ended; --n) {
      const std::uint64_t part = random(parts.size());
      all += parts[part];
      const TextOutput::Piece piece = output.push(first + static_cast<int>(part));
      shown += piece.text;
      ended = piece.stopped;
    }
    shown += output.finish();
    const std::string whole = replace_ill_formed(all);
    // The stop that ends first; of those that end there, the longest.
    std::size_t end = std::string::npos, begin = std::string::npos;
    for (const std::string& stop : stops) {
      const std::size_t at = whole.find(stop);
      if (at == std::string::npos || at + stop.size() > end) continue;
      begin = at + stop.size() < end ? at : std::min(begin, at);
      end = at + stop.size();
    }
    ASSERT_EQ(shown, whole.substr(0, begin)) << "seed " << seed;
    ASSERT_EQ(ended, begin != std::string::npos);
    stopped += ended ? 1 : 0;
  }
  EXPECT_GT(stopped, 500);
}

}  // namespace
}  // namespace hadal
