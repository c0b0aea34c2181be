#include "data/tokenizer/stats.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/joint_tokens.h"
#include "data/tokenizer/presets.h"
#include "data/tokenizer/scripts.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

/// A tokenizer with tokens such as ".\n\n", trained on a few lines.
Tokenizer trained(int vocab_size = 420) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "The end.\n\nWhy not?\n(so) \u4E2D\u6587\u3002\nOne, two!\r\n";
  ThreadPool pool(1);
  WordCounter counter(preset_splits("deepseek-v3"));
  counter.add(pool, std::vector<std::string_view>{text});
  return Tokenizer(train_tokenizer(counter.words(), {.vocab_size = vocab_size, .num_reserved = 0}).files);
}

TEST(Scripts, OfCharacters) {
  const ScriptTable& table = ScriptTable::get();
  const auto name = [&](char32_t c) { return std::string(script_name(table.of(c))); };
  EXPECT_EQ(name(U'a'), "latin");
  EXPECT_EQ(name(U'\u00E9'), "latin");
  EXPECT_EQ(name(U'\u4E2D'), "han");
  EXPECT_EQ(name(0x20000), "han");
  EXPECT_EQ(name(U'\u3042'), "kana");
  EXPECT_EQ(name(U'\uAC00'), "hangul");
  EXPECT_EQ(name(U'\u0416'), "cyrillic");
  EXPECT_EQ(name(U'\u3002'), "punctuation");
  EXPECT_EQ(name(0x1F600), "punctuation");
  EXPECT_EQ(name(U'\u0664'), "digit");
  EXPECT_EQ(name(U'\u3000'), "space");
  EXPECT_EQ(name(0xE0001), "other");
}

TEST(TokenizerStats, CountsOfASmallText) {
  const TempDir dir;
  write_file_atomically(dir / "a.txt", "The end.\n\nThe \u4E2D\u6587");
  write_file_atomically(dir / "b.txt", "12 \xE4\xB8");
  const Tokenizer tokenizer = trained(), other = trained(300);
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    const JsonObject stats = tokenizer_stats(
        pool, tokenizer, &other, {.inputs = {(dir / "a.txt").string(), (dir / "b.txt").string()}, .top = 3});
    const JsonObject& total = stats.at("total").as_object();
    EXPECT_EQ(total.at("documents"), 2);
    EXPECT_EQ(total.at("bytes"), 20 + 5);
    EXPECT_EQ(total.at("characters"), 16 + 4);
    EXPECT_EQ(stats.at("inputs").at(1).at("bytes"), 5);
    // "The", " end", ".\n\n", "The", " ", "中文" are tokens; the other text has no merges: "12", " " and two bytes.
    EXPECT_EQ(stats.at("inputs").at(0).at("tokens"), 6);
    EXPECT_EQ(stats.at("inputs").at(1).at("tokens"), 5);
    EXPECT_GT(total.at("other_tokens").as_int64(), 11);
    EXPECT_LT(total.at("tokens_ratio").as_double(), 1);
    EXPECT_EQ(stats.at("scripts").at("han").at("tokens"), 1);
    EXPECT_EQ(stats.at("scripts").at("han").at("bytes"), 6);
    EXPECT_EQ(stats.at("scripts").at("digit").at("tokens"), 2);
    EXPECT_EQ(stats.at("scripts").at("other").at("bytes"), 2);
    EXPECT_EQ(total.at("most_used").at(0).at("text"), " ");
    EXPECT_EQ(total.at("most_used").at(1).at("text"), "The");
    EXPECT_EQ(total.at("most_used").at(0).at("count"), 2);
    std::int64_t bytes = 0;
    for (const auto& [script, row] : stats.at("scripts").as_object()) bytes += row.at("bytes").as_int64();
    EXPECT_EQ(bytes, 25);
    // Nine different tokens of text were used.
    const JsonObject& vocabulary = stats.at("vocabulary").as_object();
    EXPECT_EQ(total.at("unused").at("count").as_int64(), vocabulary.at("tokens").to_number<std::int64_t>() - 9);
    EXPECT_EQ(vocabulary.at("longest").as_array().size(), 3U);
    EXPECT_EQ(vocabulary.at("shared"), other.files().spec.merges.size() + 256);
    EXPECT_NE(tokenizer_stats_text(stats).find("han"), std::string::npos);
  }
}

TEST(JointTokens, AreSplitAtTheRateAndTheTextStays) {
  const Tokenizer tokenizer = trained();
  const JointTokenSplitter splitter(tokenizer);
  EXPECT_GE(splitter.num_joint(), 4);
  std::string text;
  for (int i = 0; i < 500; ++i) text += "The end.\n\nWhy not?\nOne, two!\r\n (so)\n";
  const std::vector<int> ids = tokenizer.encode(text);
  const auto num_joint = [&](const std::vector<int>& list) {
    return std::count_if(list.begin(), list.end(), [&](int id) { return splitter.is_joint(id); });
  };
  const auto joint = static_cast<double>(num_joint(ids));
  EXPECT_GE(joint, 1500);
  EXPECT_EQ(splitter.split(ids, 0, 1, 0), ids);
  const std::vector<int> all = splitter.split(ids, 1, 1, 0), some = splitter.split(ids, 0.25, 1, 0);
  EXPECT_EQ(num_joint(all), 0);
  EXPECT_NEAR(static_cast<double>(num_joint(some)), 0.75 * joint, 0.05 * joint);
  EXPECT_EQ(tokenizer.decode(all), text);
  EXPECT_EQ(tokenizer.decode(some), text);
  EXPECT_EQ(splitter.split(ids, 0.25, 1, 0), some);
  EXPECT_NE(splitter.split(ids, 0.25, 1, 1), some);
  EXPECT_NE(splitter.split(ids, 0.25, 2, 0), some);
  EXPECT_NE(error_of([&] { splitter.split(ids, 1.5, 1, 0); }).find("want 0 to 1"), std::string::npos);
}

}  // namespace
}  // namespace hadal
