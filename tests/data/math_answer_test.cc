#include "data/tasks/math_answer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "base/json_lines.h"
#include "base/random.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

TEST(MathAnswer, PairsOfTheTable) {
  std::ifstream table(std::filesystem::path(HADAL_SOURCE_DIR) / "tests/data/math_pairs.txt");
  int pairs = 0, number = 0;
  for (std::string line; std::getline(table, line);) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const std::size_t middle = line.find(" ;; ");
    ASSERT_NE(middle, std::string::npos) << "line " << number;
    const std::string gold = line.substr(3, middle - 3), answer = line.substr(middle + 4);
    const Result<MathGold> parsed = MathGold::parse(gold);
    ASSERT_TRUE(parsed.ok()) << "line " << number << ": " << parsed.message();
    EXPECT_EQ(parsed.value().equals(answer), line.starts_with("==")) << "line " << number << ": " << line;
    EXPECT_TRUE(parsed.value().equals(gold)) << "line " << number << ": " << gold << " equals itself";
    ++pairs;
  }
  EXPECT_GE(pairs, 400);
}

TEST(MathAnswer, ToleranceForPercentAndSumsIsAChoice) {
  EXPECT_TRUE(math_equal("10\\%", "10", {.percent = true}));
  EXPECT_TRUE(math_equal("10", "10\\%", {.percent = true}));
  EXPECT_FALSE(math_equal("10", "0.1", {.percent = true}));
  EXPECT_TRUE(math_equal("42", "12+30", {.unevaluated = true}));
  EXPECT_TRUE(math_equal("1/3", "0.33", {.tolerance = 0.01}));
}

TEST(MathAnswer, GoldThatCannotBeReadIsAnError) {
  for (const char* text : {"", "  ", "\\frac{1", "$$", "1 +", ")("}) EXPECT_FALSE(MathGold::parse(text).ok()) << text;
  EXPECT_NE(error_of([] { math_equal("\\frac{1", "1"); }).find("no answer that can be compared"), std::string::npos);
}

TEST(MathAnswer, HostileTextIsCheap) {
  const auto repeated = [](std::string_view unit, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += unit;
    return text;
  };
  const Result<MathGold> gold = MathGold::parse("5");
  std::string many = "1";
  for (int i = 0; i < 900; ++i) many += str_cat(",", i % 7, "x");
  for (const std::string& text :
       {repeated("(", 4000), repeated("{", 4000), repeated("\\frac", 800), repeated("2^", 2000) + "2",
        repeated("-", 4000) + "5", repeated("5!", 2000), repeated("\\sqrt{", 600) + "5" + repeated("}", 600),
        repeated("x+", 2000) + "x", many, repeated("\\pm 1", 800), repeated("1,", 2000) + "1", repeated("|", 4000),
        repeated("!", 4000), std::string(100000, '9'), repeated("9", 4000), repeated("\\text{a}", 500),
        repeated("5%", 2000), str_cat("5", repeated("!", 4000))}) {
    EXPECT_FALSE(gold.value().equals(text)) << text.substr(0, 40);
    const Result<MathGold> g = MathGold::parse(text);
    EXPECT_TRUE(!g.ok() || g.value().equals(text)) << text.substr(0, 40);
  }
}

TEST(MathAnswer, RandomTextNeverCrashes) {
  constexpr std::string_view kParts[] = {"1",
                                         "23",
                                         ".5",
                                         "x",
                                         "+",
                                         "-",
                                         "*",
                                         "/",
                                         "^",
                                         "(",
                                         ")",
                                         "{",
                                         "}",
                                         ",",
                                         "[",
                                         "]",
                                         "=",
                                         "<",
                                         "\\frac",
                                         "|",
                                         "%",
                                         "!",
                                         " ",
                                         "_",
                                         ":",
                                         "\\pm",
                                         "\\cup",
                                         "\\{",
                                         "\\}",
                                         "\\sqrt",
                                         "\\le",
                                         "cm",
                                         "\\text{a}",
                                         "\\sin",
                                         "\\log",
                                         "\\infty",
                                         "\\overline",
                                         "\\begin{pmatrix}",
                                         "\\end{pmatrix}",
                                         "&",
                                         "\\\\",
                                         "e"};
  std::uint64_t draw = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (std::uint64_t n = random_below(5, Stream::kTest, draw++, 12) + 1; n > 0; --n)
      text += kParts[random_below(5, Stream::kTest, draw++, std::size(kParts))];
    const Result<MathGold> gold = MathGold::parse(text);
    EXPECT_TRUE(!gold.ok() || gold.value().equals(text)) << text;
  }
}

TEST(MathAnswer, IsFoundInResponses) {
  const std::pair<const char*, const char*> kCases[] = {
      {"so \\boxed{5}.", "5"},
      {"\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"},
      {"first \\boxed{3}, then \\boxed{3.0}", "3.0"},
      {"\\boxed {7}", "7"},
      {"\\boxed{\\{1,2\\}} done", "\\{1,2\\}"},
      {"<think>maybe \\boxed{1}</think> \\boxed{2}", "2"},
      {"<think>a</think><answer>\\boxed{2}</answer>", "2"},
      {"<think>a</think><answer> 42 </answer>", "42"},
      {"<answer>1</answer> no: <answer>2</answer>", "2"},
      {"The final answer is $\\frac{3}{4}$.", "$\\frac{3}{4}$"},
      {"The answer is 12. I am sure", "12"},
      {"The answer is **12**.", "12"},
      {"\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF 12\xE3\x80\x82", "12"},
      {"\xE7\xAD\x94\xE6\xA1\x88\xEF\xBC\x9A"
       "12",
       "12"},
      {"work\n#### 1,234", "1,234"},
      {"thus $x=3$ holds", "x=3"},
      {"thus \\(x=3\\) or \\[ y = 4 \\] ", "y = 4"},
      {"It costs $5 and then $18", "18"},
      {"first 3 then 4,500.25 dollars", "4,500.25"},
      {"between 3 and -4", "-4"},
      {"a share of 3/4", "3/4"},
      {"about 12%", "12%"},
  };
  for (const auto& [response, answer] : kCases) EXPECT_EQ(extract_math_answer(response), answer) << response;
}

TEST(MathAnswer, CheatsAreNoAnswers) {
  // Naming many answers, an empty or open box, an answer only in the reasoning, boxes that differ.
  for (const char* response : {"\\boxed{1} \\boxed{2}", "\\boxed{}", "\\boxed{5", "<think>\\boxed{5}</think>",
                               "<think>\\boxed{5}", "", "no number", "<answer></answer>"})
    EXPECT_EQ(extract_math_answer(response), "") << response;
  std::string guesses;
  for (int i = 0; i < 100; ++i) guesses += str_cat("\\boxed{", i, "} ");
  EXPECT_EQ(extract_math_answer(guesses), "");
  EXPECT_FALSE(math_equal("5", extract_math_answer("<answer>1, 2, 3, 4, 5</answer>")));
  EXPECT_EQ(extract_math_answer("The answer is 7." + std::string(400, '.')), "") << "only the end is looked at";
  // Words that templates use mean nothing inside a response.
  EXPECT_EQ(extract_math_answer("User: what is 2+2? Assistant: \\boxed{4}"), "4");
  EXPECT_EQ(extract_math_answer("I say 7", {.strict = true}), "");
  EXPECT_EQ(extract_math_answer("#### 7", {.strict = true}), "");
  EXPECT_EQ(extract_math_answer("The answer is 7", {.strict = true}), "7");
}

TEST(MathAnswer, AllAnswersOfGsm8k) {
  const std::filesystem::path path = shared_dir() / "data/gsm8k_test.jsonl";
  if (shared_dir().empty() || !std::filesystem::exists(path)) GTEST_SKIP() << "no GSM8K here";
  int count = 0;
  for_each_json_line(path, [&](const Json& line, const std::string& where) {
    const std::string solution = json_as<std::string>(line.at("answer"), where);
    const std::string answer = solution.substr(solution.rfind("#### ") + 5);
    const Result<MathGold> gold = MathGold::parse(answer);
    ASSERT_TRUE(gold.ok()) << where << ": " << gold.message();
    EXPECT_TRUE(gold.value().equals(extract_math_answer(solution))) << where;
    EXPECT_TRUE(gold.value().equals(extract_math_answer(str_cat("\\boxed{", answer, "}")))) << where;
    EXPECT_FALSE(gold.value().equals(str_cat(answer, "1"))) << where;
    ++count;
  });
  EXPECT_EQ(count, 1319);
}

}  // namespace
}  // namespace hadal
