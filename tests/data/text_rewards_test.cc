#include "data/tasks/text_rewards.h"

#include <gtest/gtest.h>

#include <string>

#include "data/tasks/response.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

TEST(Response, PartsOfAResponse) {
  const Response r = split_response("<think>a</think>b<answer>c</answer>");
  EXPECT_EQ(r.reasoning, "a");
  EXPECT_EQ(r.answer, "b<answer>c</answer>");
  EXPECT_EQ(r.tagged_answer, "c");
  EXPECT_EQ(split_response("a</think>b", true).reasoning, "a");
  EXPECT_EQ(split_response("a</think>b").reasoning, "a") << "the prompt opened the tag, whether one knows it or not";
  EXPECT_EQ(split_response("plain").answer, "plain");
  EXPECT_FALSE(split_response("<think>a").closed);
  EXPECT_EQ(split_response("a", true).answer, "");
  EXPECT_FALSE(split_response("a", true).closed);
  EXPECT_FALSE(split_response("b</answer><answer>c").tagged_answer.has_value());
  EXPECT_TRUE(opens_think("x<think>\n"));
  EXPECT_FALSE(opens_think("<think> x"));
  EXPECT_FALSE(opens_think(""));
}

TEST(TextRewards, FormatKnowsWhoOpensTheTag) {
  EXPECT_EQ(format_reward("", "<think>\na\n</think>\nb", false), 1);
  EXPECT_EQ(format_reward("Q<think>\n", "a</think>b", false), 1);
  EXPECT_EQ(format_reward("Q<think>\n", "<think>a</think>b", false), 0) << "opened twice";
  EXPECT_EQ(format_reward("", "a</think>b", false), 0) << "never opened";
  for (const char* bad :
       {"", "b", "<think>a", "<think></think>b", "<think>a</think>", "<think>a</think> \n", "x<think>a</think>b",
        "<think>a</think>b</think>c", "<think>a<think>b</think>c", "</think>a<think>b"})
    EXPECT_EQ(format_reward("", bad, false), 0) << bad;
  EXPECT_EQ(format_reward("", "<think>a</think> <answer>b</answer>\n", true), 1);
  for (const char* bad :
       {"<think>a</think>b", "<think>a</think><answer></answer>", "<think>a</think><answer>b</answer>c",
        "<think>a</think>c<answer>b</answer>", "<think>a<answer>b</answer></think>c",
        "<think>a</think><answer>b</answer><answer>b</answer>", "<think>a</think></answer>b<answer>"})
    EXPECT_EQ(format_reward("", bad, true), 0) << bad;
  EXPECT_EQ(tag_reward("", "<think>a</think>b", true), 0.5);
  EXPECT_EQ(tag_reward("", "<think>a", true), 0.25);
  EXPECT_EQ(tag_reward("<think>", "a</think><answer>b</answer>", true), 1);
  EXPECT_EQ(tag_reward("", "<think><think>", false), 0);
}

TEST(TextRewards, LanguageCountsWordsOfItsScript) {
  EXPECT_EQ(language_consistency("We add the numbers.", "en"), 1);
  EXPECT_EQ(language_consistency("We add the numbers.", "zh"), 0);
  // "first add up" in Chinese, four characters
  const std::string chinese = "\xE5\x85\x88\xE5\x8A\xA0\xE8\xB5\xB7\xE6\x9D\xA5";
  EXPECT_EQ(language_consistency(chinese, "zh"), 1);
  EXPECT_EQ(language_consistency(chinese + " so the sum", "zh"), 4.0 / 7);
  EXPECT_EQ(language_consistency(chinese + " so the sum", "en"), 3.0 / 7);
  // What belongs to no language: digits, variables, formulas, code, commands.
  EXPECT_EQ(language_consistency(
                chinese + " 12 + x = $\\text{speed} + y$ `print(a)` \\frac ```\nfor i in range(3)\n```", "zh"),
            1);
  EXPECT_EQ(language_consistency("", "en"), 0) << "silence earns nothing";
  EXPECT_EQ(language_consistency("1 + 2 = 3", "en"), 0);
  // "privet", in Russian
  EXPECT_EQ(language_consistency("\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82", "ru"), 1);
  EXPECT_NE(error_of([] { language_consistency("a", "xx"); }).find("\"xx\" is not known"), std::string::npos);
  EXPECT_EQ(language_consistency("broken \xFF\xFE bytes", "en"), 1);
  const std::string dollars(200000, '$');
  EXPECT_EQ(language_consistency(dollars, "en"), 0);
}

TEST(TextRewards, LengthAndRepetition) {
  EXPECT_EQ(overlong_reward(80, 100, 20), 0);
  EXPECT_EQ(overlong_reward(90, 100, 20), -0.5);
  EXPECT_EQ(overlong_reward(100, 100, 20), -1);
  EXPECT_EQ(overlong_reward(500, 100, 20), -1);
  EXPECT_EQ(overlong_reward(101, 100, 0), -1);
  EXPECT_DOUBLE_EQ(cosine_length_reward(0, 100, true), 1);
  EXPECT_DOUBLE_EQ(cosine_length_reward(50, 100, true), 0.75);
  EXPECT_DOUBLE_EQ(cosine_length_reward(100, 100, true), 0.5);
  EXPECT_DOUBLE_EQ(cosine_length_reward(0, 100, false), -1);
  EXPECT_DOUBLE_EQ(cosine_length_reward(900, 100, false), -0.5);
  EXPECT_EQ(repetition_reward("one two three four five", 2), 0);
  EXPECT_DOUBLE_EQ(repetition_reward("no no no no no", 2), -0.75);
  EXPECT_EQ(repetition_reward("no no", 3), 0);
  EXPECT_EQ(repetition_reward("", 3), 0);
  EXPECT_DOUBLE_EQ(repetition_reward("\xE5\xA5\xBD\xE5\xA5\xBD\xE5\xA5\xBD\xE5\xA5\xBD\xE5\xA5\xBD", 2), -0.75)
      << "Chinese by character";
}

}  // namespace
}  // namespace hadal
