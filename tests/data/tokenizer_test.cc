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

TEST_F(DeepseekV3, NothingAUserWritesBecomesAControlToken) {
  // Names of control tokens whole, in halves and side by side, in every mix with template stretches around them.
  const auto& added = tokenizer_->files().spec.added_tokens;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::uint64_t draw = 0;
    const auto below = [&](std::uint64_t n) { return random_below(seed, Stream::kTest, draw++, n); };
    std::vector<std::string> parts;
    std::vector<TextSegment> segments;
    for (std::uint64_t n = 1 + below(6); n > 0; --n) {
      const std::string& name = added[below(added.size())].content;
      const std::size_t cut = below(name.size() + 1);
      parts.push_back(below(2) == 0 ? name : below(2) == 0 ? name.substr(0, cut) : name.substr(cut));
    }
    std::string text;
    int wanted = 0;
    for (const std::string& part : parts) {
      const bool special = below(3) == 0;
      segments.push_back({part, special});
      text += part;
    }
    const std::vector<int> ids = tokenizer_->encode(segments);
    for (const int id : ids)
      if (tokenizer_->files().spec.tokens[static_cast<std::size_t>(id)].literal) ++wanted;
    EXPECT_EQ(tokenizer_->decode(ids), text) << "seed " << seed;
    // As many control tokens as the stretches that may hold some have on their own.
    int allowed = 0;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (!segments[i].parse_special) continue;
      std::string stretch(segments[i].text);
      while (i + 1 < segments.size() && segments[i + 1].parse_special) stretch += segments[++i].text;
      for (const int id : tokenizer_->encode(stretch, {.parse_special = true}))
        if (tokenizer_->files().spec.tokens[static_cast<std::size_t>(id)].literal) ++allowed;
    }
    EXPECT_EQ(wanted, allowed) << "seed " << seed;
  }
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

/// `bytes` of text of one kind, as a user may paste it to keep a server busy.
std::string adversarial(std::string_view kind, std::size_t bytes) {
  std::string text;
  if (kind != "line breaks and punctuation") return repeated(kind, bytes);
  for (std::uint64_t i = 0; i < bytes; ++i) text += "\n\r.!?-;\t"[random_below(9, Stream::kTest, i, 8)];
  return text;
}

TEST_F(DeepseekV3, NoInputTakesQuadraticTime) {
  for (const char* kind : {"a", " ", "\U0001F680", "\u4E2D", "line breaks and punctuation"}) {
    const auto seconds = [&](std::size_t bytes) {
      const std::string text = adversarial(kind, bytes);
      const double start = cpu_seconds();
      const std::vector<int> ids = tokenizer_->encode(text);
      const double end = cpu_seconds();
      EXPECT_EQ(tokenizer_->decode(ids), text);
      return end - start;
    };
    // Four times the text: quadratic work would take 16 times as long, n log n about 4.4 times. The caches of a busy
    // machine are not ours, so one good attempt of four is enough.
    double growth = 100;
    for (int attempt = 0; attempt < 4 && growth >= 10; ++attempt) {
      const double small = std::max(seconds(250'000), 1e-3);
      growth = seconds(1'000'000) / small;
    }
    EXPECT_LT(growth, 10) << "1 MB of " << kind;
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

/// All bytes, the letter n with tilde as a merge, and added tokens of every kind; NFC when asked for.
Tokenizer small_tokenizer(bool nfc, bool ignore_merges = false) {
  TokenizerFiles files;
  TokenizerSpec& spec = files.spec;
  for (int byte = 0; byte < 256; ++byte) spec.tokens.push_back({.bytes = std::string(1, static_cast<char>(byte))});
  spec.tokens.push_back({.bytes = "\u00F1"});
  spec.merges.push_back({0xC3, 0xB1, 256});
  spec.tokens.push_back({.bytes = "abc"});  // no merge leads to it
  const auto add = [&](AddedToken token) {
    token.id = spec.vocab_size();
    spec.tokens.push_back({.bytes = token.content, .literal = true});
    spec.added_tokens.push_back(std::move(token));
  };
  add({.content = "<x>", .special = true});
  add({.content = "<l>", .lstrip = true});
  add({.content = "<r>", .normalized = true, .rstrip = true});
  add({.content = "  "});
  spec.splits = {"\\p{L}+|\\s+"};
  spec.normalize_nfc = nfc;
  spec.ignore_merges = ignore_merges;
  return Tokenizer(std::move(files));
}

TEST(Tokenizer, NfcLeavesControlTokensAlone) {
  const Tokenizer tokenizer = small_tokenizer(true);
  EXPECT_EQ(tokenizer.encode("n\u0303"), (std::vector<int>{256}));
  // U+0338 would make ">" another character; the token comes first.
  EXPECT_EQ(tokenizer.encode("<x>\u0338", {.parse_special = true}), (std::vector<int>{258, 0xCC, 0xB8}));
  // "<r>" is looked for in the normalised text, where its end is gone.
  const std::vector<int> ids = tokenizer.encode("<r>\u0338", {.parse_special = true});
  EXPECT_EQ(tokenizer.decode(ids), "<r\u226F");
  EXPECT_EQ(tokenizer.encode("n\u0303<r> n\u0303", {.parse_special = true}), (std::vector<int>{256, 260, 256}));
  const std::vector<TextSegment> segments = {{"n", false}, {"\u0303", false}, {"<x>", true}, {"<x>", false}};
  EXPECT_EQ(tokenizer.encode(segments), (std::vector<int>{256, 258, '<', 'x', '>'}));
  EXPECT_EQ(small_tokenizer(false).encode("n\u0303"), (std::vector<int>{'n', 0xCC, 0x83}));
}

TEST(Tokenizer, WhiteSpaceBesideAddedTokens) {
  const Tokenizer tokenizer = small_tokenizer(false);
  const EncodeOptions special{.parse_special = true};
  EXPECT_EQ(tokenizer.encode("a <l> b", special), (std::vector<int>{'a', 259, ' ', 'b'}));
  EXPECT_EQ(tokenizer.encode("a <r> b", special), (std::vector<int>{'a', ' ', 260, 'b'}));
  // The white space of a user's text is not the token's to take.
  const std::vector<TextSegment> segments = {{"a ", false}, {"<l>", true}, {"<r>", true}, {" b", false}};
  EXPECT_EQ(tokenizer.encode(segments), (std::vector<int>{'a', ' ', 259, 260, ' ', 'b'}));
  // A token of white space is text wherever it comes from, one with a name is not.
  EXPECT_EQ(tokenizer.encode("a  <x>"), (std::vector<int>{'a', 261, '<', 'x', '>'}));
}

TEST(Tokenizer, PiecesThatAreTokensStayWholeWhenMergesAreIgnored) {
  EXPECT_EQ(small_tokenizer(false, true).encode("abc abcd"), (std::vector<int>{257, ' ', 'a', 'b', 'c', 'd'}));
  EXPECT_EQ(small_tokenizer(false, false).encode("abc"), (std::vector<int>{'a', 'b', 'c'}));
}

}  // namespace
}  // namespace hadal
