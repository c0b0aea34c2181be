#include "data/tasks/reward.h"

#include <gtest/gtest.h>

#include "base/options.h"
#include "data/tasks/response.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

TaskRecord task(Grader grader, const std::string& answer, const std::string& task_class = "any") {
  return {.id = "t", .task_class = task_class, .language = "en", .grader = grader, .answer = answer};
}

RewardResult score(const RewardOptions& options, const TaskRecord& t, const std::string& response,
                   const std::string& prompt = "") {
  return Reward(options)({.task = t, .prompt = prompt, .response = response});
}

TEST(Reward, AccuracyAndFormatWeighTheSame) {
  const TaskRecord t = task(Grader::kMath, "5");
  EXPECT_EQ(score({}, t, "<think>2+3</think>5").total, 2);
  EXPECT_EQ(score({}, t, "<think>2+3</think>6").total, 1);
  EXPECT_EQ(score({}, t, "5").total, 1);
  EXPECT_EQ(score({}, t, "6").total, 0);
  EXPECT_EQ(score({}, t, "2+3</think>5", "Q<think>\n").total, 2);
  EXPECT_EQ(score({}, t, "5", "Q<think>\n").total, 0) << "it never stopped thinking";
  EXPECT_EQ(score({}, t, "<think>5").total, 0);
  const RewardResult r = score({}, t, "<think>a</think>\\boxed{5.0}");
  EXPECT_TRUE(r.correct);
  EXPECT_EQ(r.answer, "5.0");
  ASSERT_EQ(r.parts.size(), 2U);
  EXPECT_EQ(r.parts[0].name, "accuracy");
  EXPECT_EQ(r.parts[1].name, "format");
}

TEST(Reward, SequencesHaveAPartialReward) {
  RewardOptions options;
  options.routes.push_back({.accuracy = 0.5, .partial = 0.4, .format = 0, .tags = 0.1});
  const TaskRecord t = task(Grader::kSequence, "1 2 3 4");
  const auto total = [&](const std::string& answer) { return score(options, t, "<think>a</think>" + answer).total; };
  EXPECT_DOUBLE_EQ(total("1 2 3 4"), 1.0);
  EXPECT_DOUBLE_EQ(total("1, 2, 3, 4"), 1.0);
  EXPECT_DOUBLE_EQ(total("1234"), 1.0);
  EXPECT_DOUBLE_EQ(total("1 2 4 3"), 0.3);
  EXPECT_DOUBLE_EQ(total("1 2 3 4 4 4 4 4"), 0.3) << "more elements do not pay";
  EXPECT_DOUBLE_EQ(total(""), 0.1);
  EXPECT_DOUBLE_EQ(total("<answer>1 2 3 4</answer>"), 1.0);
  EXPECT_DOUBLE_EQ(total("\\boxed{1 2 3 4}"), 1.0);
  EXPECT_TRUE(score({}, task(Grader::kExact, "a  b"), "x</think> a b\n").correct);
  EXPECT_FALSE(score({}, task(Grader::kExact, "a b"), "x</think> a c").correct);
}

TEST(Reward, RoutesByClass) {
  RewardOptions options{.max_tokens = 100, .overlong_buffer = 50, .repetition_ngram = 2};
  options.routes.push_back({.classes = {"math"}, .accuracy = 2, .format = 0});
  options.routes.push_back({.classes = {"chat"},
                            .accuracy = 0,
                            .format = 0,
                            .language = 1,
                            .overlong = 1,
                            .repetition = 1,
                            .reward_model = 3});
  const Reward reward(options, {{"reward_model", [](const RewardQuery& q) {
                                   return static_cast<double>(split_response(q.response).answer.size());
                                 }}});
  const TaskRecord math = task(Grader::kMath, "5", "math"), chat = task(Grader::kNone, "", "chat"),
                   other = task(Grader::kMath, "5", "x");
  EXPECT_EQ(reward({.task = math, .response = "5"}).total, 2);
  const RewardResult r = reward({.task = chat, .response = "<think>we say so</think>well", .num_tokens = 75});
  EXPECT_EQ(r.total, 1 - 0.5 + 0 + 3 * 4);
  EXPECT_FALSE(r.correct);
  EXPECT_NE(error_of([&] { reward({.task = other, .response = "5"}); }).find("no route for tasks of class \"x\""),
            std::string::npos);
  EXPECT_NE(error_of([&] { Reward{options}; }).find("no such model"), std::string::npos);
  EXPECT_NE(error_of([] { Reward({.routes = {{.overlong = 1}}}); }).find("max_tokens"), std::string::npos);
  EXPECT_NE(error_of([] {
              Reward({.routes = {{.language = 1}}}).prepare({{.id = "q", .language = "xx"}});
            }).find("language \"xx\" is not known"),
            std::string::npos);
}

TEST(Reward, OptionsComeFromJson) {
  RewardOptions options;
  OptionTable(options).read_json(
      parse_json(R"({"routes": [{"classes": ["sort"], "partial": 1}, {"format": 0.1}], "math": {"strict": true}})",
                 "test")
          .as_object(),
      "test");
  ASSERT_EQ(options.routes.size(), 2U);
  const Reward reward(options);
  EXPECT_EQ(reward.route("sort").partial, 1);
  EXPECT_EQ(reward.route("else").format, 0.1);
  EXPECT_FALSE(reward({.task = task(Grader::kMath, "5"), .response = "5"}).correct) << "strict wants a box";
  RewardOptions wrong;
  EXPECT_NE(error_of([&] {
              OptionTable(wrong).read_json(parse_json(R"({"routes": [{"acuracy": 1}]})", "t").as_object(), "t");
            }).find("acuracy"),
            std::string::npos);
}

}  // namespace
}  // namespace hadal
