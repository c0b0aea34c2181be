#include "data/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <ctime>
#include <fstream>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "data/tokenizer/stream_decoder.h"
#include "support/shared.h"

namespace hadal {
namespace {

class DeepseekV3 : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!shared_dir().empty()) tokenizer_.emplace(Tokenizer::load(shared_dir() / "tokenizers" / "deepseek-v3"));
  }
  static void TearDownTestSuite() { tokenizer_.reset(); }
  void SetUp() override {
    if (!tokenizer_) GTEST_SKIP() << "no shared folder";
  }
  static std::optional<Tokenizer> tokenizer_;
};
std::optional<Tokenizer> DeepseekV3::tokenizer_;

/// `n` bytes that are often, but not always, UTF-8.
std::string random_text(std::uint64_t seed, std::size_t n) {
  static const char* const kParts[] = {
      " ",        "\n",           "\r\n",     "a", "The", "ing",  "é",        "中文", "の",
      "・",       "゛",           "🚀",       "١", "12",  "½",    "...",      "!\n",  "\t",
      "\xC2\xA0", "\xE2\x80\xA8", "\xCC\x81", "<", "|>",  "\xFF", "\xE4\xB8", "\x01"};
  std::string text;
  for (std::uint64_t i = 0; text.size() < n; ++i) {
    const std::uint64_t bits = random_bits(seed, Stream::kTest, i);
    if (bits % 4 == 0) {
      text.push_back(static_cast<char>(bits >> 8));
    } else {
      text += kParts[(bits >> 8) % std::size(kParts)];
    }
  }
  return text;
}

TEST_F(DeepseekV3, EqualsTheGoldens) {
  std::ifstream lines(shared_dir() / "tokenizers" / "deepseek-v3" / "encode_golden.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json golden = parse_json(line, "golden");
    const auto text = json_as<std::string>(golden.at("text"), "text");
    const auto ids = json_as<std::vector<int>>(golden.at("ids"), "ids");
    EXPECT_EQ(tokenizer_->encode(text, {.parse_special = true}), ids) << text;
    EXPECT_EQ(tokenizer_->decode(ids), json_as<std::string>(golden.at("decoded"), "decoded"));
  }
  EXPECT_EQ(count, 410);
}

TEST_F(DeepseekV3, DecodeUndoesEncodeForAnyBytes) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::string text = random_text(seed, 1 + seed * seed % 997);
    EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text) << "seed " << seed;
    EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text, {.parse_special = true})), text) << "seed " << seed;
  }
}

TEST_F(DeepseekV3, CacheChangesNothing) {
  // The second time every piece comes from the cache; a fresh tokenizer has an empty one.
  const std::string text = random_text(7, 20000);
  const std::vector<int> first = tokenizer_->encode(text);
  EXPECT_EQ(tokenizer_->encode(text), first);
  Regex::Workspace workspace;
  Bpe::Workspace bpe_workspace;
  const Bpe bpe(tokenizer_->files().spec);
  std::vector<int> plain;
  Splitter(tokenizer_->files().spec.splits).split(text, workspace, [&](std::string_view piece) {
    bpe.encode(piece, bpe_workspace, plain);
  });
  EXPECT_EQ(plain, first);
}

TEST_F(DeepseekV3, ControlTokensOnlyWhereAsked) {
  const std::string text = "<\uFF5CUser\uFF5C>hi<\uFF5Cend\u2581of\u2581sentence\uFF5C>";
  EXPECT_EQ(tokenizer_->encode(text, {.parse_special = true}), (std::vector<int>{128803, 6366, 1}));
  for (const int id : tokenizer_->encode(text)) EXPECT_TRUE(id > 2 && id < 128000) << id;
  EXPECT_EQ(tokenizer_->encode("hi", {.add_special = true}), (std::vector<int>{0, 6366}));
}

TEST_F(DeepseekV3, SegmentsAreOneTextForSplitting) {
  const std::vector<TextSegment> segments = {{"<\uFF5CUser\uFF5C>", true},     {"he", false},
                                             {"llo<\uFF5CUser\uFF5C>", false}, {" wor", false},
                                             {"ld<\uFF5CAss", true},           {"istant\uFF5C>", true}};
  const std::vector<int> ids = tokenizer_->encode(segments);
  std::vector<int> expected = {128803};
  tokenizer_->encode_append("hello<\uFF5CUser\uFF5C> world", expected);
  expected.push_back(128804);
  EXPECT_EQ(ids, expected);
  // Half of a control token in the text of a user stays text.
  const std::vector<TextSegment> split = {{"<\uFF5CUs", false}, {"er\uFF5C>", true}};
  EXPECT_EQ(tokenizer_->encode(split), tokenizer_->encode("<\uFF5CUser\uFF5C>"));
}

TEST_F(DeepseekV3, SpecialAndBytes) {
  EXPECT_EQ(tokenizer_->bos_id(), 0);
  EXPECT_EQ(tokenizer_->eos_id(), 1);
  EXPECT_TRUE(tokenizer_->is_special(0));
  EXPECT_FALSE(tokenizer_->is_special(128803));
  EXPECT_FALSE(tokenizer_->is_special(1 << 20));
  EXPECT_EQ(tokenizer_->decode(std::vector<int>{0, 6366, 129000, 1}, true), "hi");
  const std::vector<int> bytes = tokenizer_->text_bytes_per_token();
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[6366], 2);
}

TEST_F(DeepseekV3, StreamNeverCutsACharacter) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string text = random_text(seed, 200);
    const std::vector<int> ids = tokenizer_->encode(text);
    StreamDecoder decoder(*tokenizer_);
    std::string streamed;
    for (const int id : ids) {
      const std::string part = decoder.push(id);
      EXPECT_EQ(well_formed_prefix(part), part.size());
      streamed += part;
    }
    streamed += decoder.finish();
    EXPECT_EQ(streamed, replace_ill_formed(text)) << "seed " << seed;
  }
}

/// CPU seconds of this thread: other work on the machine does not count.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

std::string repeated(std::string_view unit, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

TEST_F(DeepseekV3, NoInputTakesQuadraticTime) {
  for (const char* unit : {"a", " ", "\U0001F680"}) {
    // Eight times the text: quadratic work would take 64 times as long, n log n about 9 times.
    const auto seconds = [&](std::size_t bytes) {
      const std::string text = repeated(unit, bytes);
      const double start = cpu_seconds();
      const std::vector<int> ids = tokenizer_->encode(text);
      const double end = cpu_seconds();
      EXPECT_EQ(tokenizer_->decode(ids), text);
      return end - start;
    };
    const double small = std::max(seconds(1 << 17), 1e-3);
    EXPECT_LT(seconds(1 << 20), 32 * small) << "1 MB of " << unit;
  }
}

TEST_F(DeepseekV3, LongRunsOfAnything) {
  for (const char* unit : {"\n", "\r\n ", "\u4E2D", "ab", "!", "1", "\xFF", "\u0301", " \t"}) {
    const std::string text = repeated(unit, 1 << 16);
    EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text);
  }
}

TEST_F(DeepseekV3, BatchEqualsOneByOne) {
  std::vector<std::string> texts;
  for (std::uint64_t seed = 0; seed < 40; ++seed) texts.push_back(random_text(seed, 100 * seed));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const auto batch = tokenizer_->encode_batch(pool, views);
    for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(batch[i], tokenizer_->encode(texts[i])) << i;
  }
}

}  // namespace
}  // namespace hadal
