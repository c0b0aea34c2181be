#include "data/tokenizer/bpe_trainer.h"

#include <gtest/gtest.h>

#include <cctype>
#include <map>

#include "base/random.h"
#include "data/tokenizer/presets.h"
#include "data/tokenizer/tokenizer.h"
#include "formats/tokenizer_json.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

// Ids that are no merges: three control tokens, 256 bytes and 17 control tokens at the end.
constexpr int kFixed = 3 + 256 + 17;

/// Some text with few letters, so that pairs tie and overlap often.
std::string few_letters(std::uint64_t seed, int words) {
  std::string text;
  for (int w = 0; w < words; ++w) {
    const std::uint64_t bits = random_bits(seed, Stream::kTest, static_cast<std::uint64_t>(w));
    for (std::uint64_t i = 0; i < 1 + bits % 9; ++i) text += "aabc1"[(bits >> (4 + 3 * i)) % 5];
    text += ' ';
  }
  return text;
}

TokenizerTrainResult train_on(const std::vector<std::string>& texts, const TokenizerTrainOptions& options,
                              int threads = 1) {
  ThreadPool pool(threads);
  WordCounter counter(preset_splits(options.preset));
  counter.add(pool, std::vector<std::string_view>(texts.begin(), texts.end()));
  return train_tokenizer(counter.words(), options);
}

/// The definition, word for word: count all pairs anew, merge the most frequent, repeat.
std::vector<std::string> merges_by_definition(const std::string& text, int num_merges, int num_leading) {
  std::map<std::string, int> counts;
  Regex::Workspace workspace;
  Splitter(preset_splits("deepseek-v3")).split(text, workspace, [&](std::string_view piece) {
    ++counts[std::string(piece)];
  });
  std::map<std::string, int> id_of;  // the bytes that occur are ASCII letters, digits, space: ids follow their order
  const TokenizerTrainResult none = train_tokenizer({}, {.vocab_size = kFixed, .num_reserved = 0});
  for (int id = num_leading; id < num_leading + 256; ++id)
    id_of[none.files.spec.tokens[static_cast<std::size_t>(id)].bytes] = id;
  std::vector<std::pair<std::vector<std::string>, int>> words;
  for (const auto& [word, count] : counts) {
    words.emplace_back();
    for (const char c : word) words.back().first.emplace_back(1, c);
    words.back().second = count;
  }
  std::vector<std::string> merges;
  while (static_cast<int>(merges.size()) < num_merges) {
    std::map<std::pair<int, int>, int> pairs;
    for (const auto& [word, count] : words)
      for (std::size_t i = 1; i < word.size(); ++i) pairs[{id_of[word[i - 1]], id_of[word[i]]}] += count;
    std::pair<int, int> best;
    int best_count = 1;
    for (const auto& [pair, count] : pairs)
      if (count > best_count) best = pair, best_count = count;
    if (best_count < 2) break;
    std::string left, right;
    for (const auto& [bytes, id] : id_of) {
      if (id == best.first) left = bytes;
      if (id == best.second) right = bytes;
    }
    id_of[left + right] = num_leading + 256 + static_cast<int>(merges.size());
    merges.push_back(left + "|" + right);
    for (auto& [word, count] : words) {
      std::vector<std::string> merged;
      for (std::size_t i = 0; i < word.size(); ++i) {
        const bool match = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
        merged.push_back(match ? left + right : word[i]);
        if (match) ++i;
      }
      word = merged;
    }
  }
  return merges;
}

TEST(BpeTrainer, EqualsTheDefinition) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const std::string text = few_letters(seed, 300);
    const TokenizerTrainResult result =
        train_on({text}, {.vocab_size = kFixed + 60, .num_reserved = 0, .max_token_bytes = 0});
    std::vector<std::string> merges;
    const TokenizerSpec& spec = result.files.spec;
    for (const TokenizerSpec::Merge& m : spec.merges)
      merges.push_back(spec.tokens[static_cast<std::size_t>(m.left)].bytes + "|" +
                       spec.tokens[static_cast<std::size_t>(m.right)].bytes);
    EXPECT_EQ(merges, merges_by_definition(text, 60, 3)) << "seed " << seed;
  }
}

TEST(BpeTrainer, ThreadsAndTheOrderOfDocumentsChangeNothing) {
  std::vector<std::string> texts;
  for (std::uint64_t seed = 0; seed < 30; ++seed) texts.push_back(few_letters(seed, 50));
  const TokenizerTrainOptions options{.vocab_size = 600, .num_reserved = 3};
  const std::string one = tokenizer_json(train_on(texts, options, 1).files.spec);
  EXPECT_EQ(tokenizer_json(train_on(texts, options, 3).files.spec), one);
  std::reverse(texts.begin(), texts.end());
  EXPECT_EQ(tokenizer_json(train_on(texts, options, 2).files.spec), one);
}

TEST(BpeTrainer, LayoutOfTheVocabulary) {
  const TokenizerTrainResult result = train_on({few_letters(1, 200)}, {.vocab_size = 400, .num_reserved = 7});
  const TokenizerSpec& spec = result.files.spec;
  EXPECT_EQ(spec.vocab_size(), 400);
  const Tokenizer tokenizer(result.files);
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_EQ(tokenizer.pad_id(), 2);
  EXPECT_EQ(spec.tokens[3].bytes, "!");
  EXPECT_EQ(spec.tokens[201].bytes, "\n");  // as in DeepSeek-V3's vocabulary
  EXPECT_EQ(tokenizer.added_id(kFimHoleToken), 400 - 15);
  EXPECT_EQ(tokenizer.added_id(kFimBeginToken), 400 - 14);
  EXPECT_EQ(tokenizer.added_id("<think>"), 400 - 17);
  EXPECT_FALSE(tokenizer.is_special(tokenizer.added_id("<think>")));
  EXPECT_EQ(tokenizer.encode("a", {.add_special = true}).front(), 0);
  // The file holds the same tokenizer.
  const TempDir dir;
  write_tokenizer_files(dir.path(), result.files);
  const Tokenizer again = Tokenizer::load(dir.path());
  const std::string text = few_letters(77, 400) + "\xFF\xFE \u4E2D <think>";
  EXPECT_EQ(again.encode(text), tokenizer.encode(text));
  EXPECT_EQ(again.encode(text, {true, true}), tokenizer.encode(text, {true, true}));
  EXPECT_EQ(again.decode(again.encode(text)), text);
}

TEST(BpeTrainer, WhatTheTextCannotFillStaysReserved) {
  const TokenizerTrainResult result = train_on({"ab ab"}, {.vocab_size = 1000, .num_reserved = 5});
  EXPECT_EQ(result.files.spec.vocab_size(), 1000);
  EXPECT_LE(result.num_merges, 3);
  EXPECT_EQ(result.num_merges + result.num_unused, 1000 - kFixed - 5);
}

TEST(BpeTrainer, NoDigitMerges) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += std::to_string(i) + " year" + std::to_string(i % 7) + " ";
  for (const bool digit_merges : {true, false}) {
    const TokenizerTrainResult result =
        train_on({text}, {.vocab_size = 400, .num_reserved = 0, .digit_merges = digit_merges});
    bool any = false;
    for (const TokenizerSpec::Token& token : result.files.spec.tokens)
      if (!token.literal && token.bytes.size() > 1)
        for (const char c : token.bytes) any = any || std::isdigit(static_cast<unsigned char>(c)) != 0;
    EXPECT_EQ(any, digit_merges);
  }
}

TEST(BpeTrainer, LongestTokenAndBadOptions) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "abcdefghijklmnop ";
  const TokenizerTrainResult result = train_on({text}, {.vocab_size = 320, .num_reserved = 0, .max_token_bytes = 5});
  std::size_t longest = 0;
  for (const TokenizerSpec::Token& token : result.files.spec.tokens)
    if (!token.literal) longest = std::max(longest, token.bytes.size());
  EXPECT_EQ(longest, 5U);
  EXPECT_NE(error_of([&] { train_on({text}, {.vocab_size = 300}); }).find("want 376"), std::string::npos);
  EXPECT_NE(error_of([&] { train_on({text}, {.preset = "nope"}); }).find("deepseek-v3"), std::string::npos);
  EXPECT_NE(error_of([&] { train_on({text}, {.min_count = 0}); }).find("min_count"), std::string::npos);
}

TEST(WordCounter, CountsEveryByteOnce) {
  ThreadPool pool(2);
  WordCounter counter(preset_splits("deepseek-v3"));
  const std::string run(5000, 'x');
  const std::vector<std::string_view> documents = {"one two two", run, ""};
  counter.add(pool, documents);
  std::uint64_t bytes = 0;
  for (const WordCount& word : counter.words()) {
    bytes += word.count * word.bytes.size();
    if (word.bytes == " two") {
      EXPECT_EQ(word.count, 2U);
    }
    EXPECT_LE(word.bytes.size(), WordCounter::kMaxWordBytes);
  }
  EXPECT_EQ(bytes, 11U + 5000);
  EXPECT_EQ(counter.bytes_seen(), bytes);
}

TEST(WordCounter, ForgetsTheSameWordsOnAnyNumberOfThreads) {
  // Some frequent words among many rare ones, in more than one batch.
  std::vector<std::string> documents;
  for (std::uint64_t d = 0; d < 9; ++d) {
    std::string text;
    for (std::uint64_t i = 0; text.size() < 30'000; ++i) {
      std::uint64_t bits = random_bits(d, Stream::kTest, i);
      text += bits % 4 == 0 ? " the" : bits % 4 == 1 ? " quick" : " ";
      if (bits % 4 > 1)
        for (int n = 0; n < 5; ++n) text += static_cast<char>('a' + (bits >>= 8) % 26);
    }
    documents.push_back(std::move(text));
  }
  const std::vector<std::string_view> views(documents.begin(), documents.end());
  std::vector<std::pair<std::string, std::uint64_t>> first;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    WordCounter counter(preset_splits("deepseek-v3"), {.max_words = 1'000, .batch_bytes = 1 << 16});
    counter.add(pool, views);
    std::vector<std::pair<std::string, std::uint64_t>> words;
    std::uint64_t the = 0;
    for (const WordCount& word : counter.words()) {
      words.emplace_back(word.bytes, word.count);
      if (word.bytes == " the") the = word.count;
    }
    EXPECT_LT(words.size(), 10'000U);
    EXPECT_GT(counter.forgotten(), 10'000U);
    EXPECT_GT(the, 10'000U);
    if (first.empty()) {
      first = words;
    } else {
      EXPECT_TRUE(words == first);
    }
  }
}

TEST(WordCounter, ALongDocumentIsCutBehindLineBreaks) {
  std::string text;
  while (text.size() < (std::size_t{5} << 20)) text += "word and \u4E2D\u6587!\n";
  ThreadPool pool(2);
  WordCounter counter(preset_splits("deepseek-v3"));
  counter.add(pool, std::vector<std::string_view>{text});
  const std::vector<WordCount> words = counter.words();
  EXPECT_EQ(words.size(), 5U);  // no word was cut
  for (const WordCount& word : words) EXPECT_EQ(word.count, text.size() / 17) << word.bytes;
}

TEST(BpeTrainer, SpecialTokensAndACustomRegex) {
  TokenizerTrainOptions options{.vocab_size = 340, .preset = "regex:[a-c]+|[^a-c]+", .special = {"<|a|>", "<|b|>"}};
  options.num_reserved = 4;
  const TokenizerTrainResult result = train_on({few_letters(3, 100)}, options);
  const Tokenizer tokenizer(result.files);
  EXPECT_EQ(result.files.spec.splits, std::vector<std::string>{"[a-c]+|[^a-c]+"});
  EXPECT_EQ(tokenizer.vocab_size(), 340);
  EXPECT_TRUE(tokenizer.is_special(tokenizer.added_id("<|b|>")));
  EXPECT_EQ(tokenizer.added_id("<|a|>") + 1, tokenizer.added_id("<|b|>"));
  options.special = {"<think>"};
  EXPECT_NE(error_of([&] { check_train_options(options); }).find("\"<think>\" is there already"), std::string::npos);
  options.special = {""};
  EXPECT_NE(error_of([&] { check_train_options(options); }).find("not empty"), std::string::npos);
  options.special.clear();
  options.preset = "regex:(a";
  EXPECT_NE(error_of([&] { check_train_options(options); }).find("regex"), std::string::npos);
}

}  // namespace
}  // namespace hadal
