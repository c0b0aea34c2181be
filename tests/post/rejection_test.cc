#include "post/rejection.h"

#include <gtest/gtest.h>

#include "base/json_lines.h"
#include "post/post_support.h"
#include "train/metrics.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// Six questions; `answers` are the known ones.
std::string write_tasks(const fs::path& path, const std::vector<std::string>& answers) {
  std::vector<Json> lines;
  for (std::size_t i = 0; i < answers.size(); ++i)
    lines.push_back(JsonObject{{"id", str_cat("t/", i)},
                               {"class", i % 2 == 0 ? "even" : "odd"},
                               {"messages", JsonArray{JsonObject{{"role", "user"}, {"content", str_cat("q", i)}}}},
                               {"grader", "exact"},
                               {"answer", answers[i]}});
  return write_lines(path, lines);
}

RejectionOptions options_for(const TempDir& dir, const std::string& tasks, const std::string& out) {
  RejectionOptions o;
  o.tasks = tasks, o.out = (dir / out).string();
  o.model.model = (dir / "model").string(), o.model.weights = "f32", o.model.threads = 2;
  o.samples = 4, o.max_batch = 8;
  o.rollout.max_tokens = 8, o.rollout.temperature = 0.7;
  o.rollout.stop = {"\n"};
  o.filter.max_other_script = 1;
  return o;
}

TEST(Rejection, KeepsWhatIsRightAndGoesOnWhereItStopped) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  RejectionOptions o =
      options_for(dir, write_tasks(dir / "wrong.jsonl", std::vector<std::string>(6, "nobody says this")), "wrong");
  o.max_repetition = 1;
  EXPECT_NE(error_of([&] { sample_and_reject(o); }).find("none of 24"), std::string::npos);
  EXPECT_FALSE(fs::exists(dir / "wrong" / "sft.jsonl"));
  const Json told = read_json_file(dir / "wrong" / "summary.json");
  EXPECT_TRUE(told.at("finished").as_bool());
  EXPECT_EQ(told.at("answers").as_int64(), 24);
  EXPECT_EQ(told.at("filter").at("kept").as_int64(), 0);

  // What the model says to each question is the known answer now. Cut answers never count as right, so only some are.
  std::vector<std::string> said(6, "nobody says this");
  int ended = 0;
  for (const JsonObject& line : read_json_log(dir / "wrong" / "candidates.jsonl")) {
    const JsonObject& answer = line.at("messages").as_array().back().as_object();
    const std::string text = json_as<std::string>(answer.at("content"), "content");
    if (line.at("truncated").as_bool() || text.find_first_not_of(" \t") == std::string::npos) continue;
    said[static_cast<std::size_t>(json_as<std::int64_t>(line.at("step"), "step") - 1)] = text;
    ++ended;
  }
  if (ended == 0) GTEST_SKIP() << "this model never ends an answer";
  RejectionOptions right = options_for(dir, write_tasks(dir / "right.jsonl", said), "right");
  right.max_repetition = 1;
  const JsonObject summary = sample_and_reject(right);
  EXPECT_TRUE(summary.at("finished").as_bool());
  EXPECT_EQ(json_as<std::int64_t>(summary.at("questions"), ""), 6);
  EXPECT_EQ(summary.at("classes").as_object().size(), 2U);
  EXPECT_GT(json_as<double>(summary.at("solved"), ""), 0);
  int kept = 0;
  for_each_json_line(dir / "right" / "sft.jsonl", [&](const Json& line, const std::string&) {
    EXPECT_TRUE(line.as_object().at("correct").as_bool());
    ++kept;
  });
  EXPECT_GT(kept, 0);

  const std::string whole = read_file(dir / "right" / "candidates.jsonl"), sft = read_file(dir / "right" / "sft.jsonl");
  std::ofstream(dir / "right" / "candidates.jsonl") << whole.substr(0, whole.size() / 2);
  right.max_batch = 4, right.model.threads = 1;
  EXPECT_EQ(json_line(sample_and_reject(right)), json_line(summary));
  EXPECT_EQ(read_file(dir / "right" / "candidates.jsonl"), whole);
  EXPECT_EQ(read_file(dir / "right" / "sft.jsonl"), sft);
}

TEST(Scorers, VerdictsAndQuestions) {
  EXPECT_EQ(verdict_of("It is the same. CORRECT"), 1);
  EXPECT_EQ(verdict_of("It seems CORRECT, but no: INCORRECT."), 0);
  EXPECT_FALSE(verdict_of("I cannot say").has_value());
  TaskRecord task;
  task.id = "t", task.messages = {JsonObject{{"role", "user"}, {"content", "2+2?"}}}, task.answer = "4";
  const JsonArray asked = judge_messages({.task = task, .response = "<think>CORRECT</think>four"});
  const std::string text = json_as<std::string>(asked[0].as_object().at("content"), "");
  EXPECT_NE(text.find("2+2?"), std::string::npos);
  EXPECT_NE(text.find("four"), std::string::npos);
  EXPECT_EQ(text.find("<think>"), std::string::npos);
}

TEST(Scorers, BothJudgesAreRefused) {
  ThreadPool pool(1);
  EXPECT_THROW(make_scorers(pool, {.judge = "a", .judge_url = "http://b"}), Error);
  EXPECT_TRUE(make_scorers(pool, {}).empty());
}

TEST(TaskPrompts, Styles) {
  const Tokenizer tokenizer(byte_tokenizer_files());
  TaskRecord task;
  task.messages = {JsonObject{{"role", "user"}, {"content", "2+2?"}}};
  EXPECT_THROW(task_prompts({task}, tokenizer, {}, "model"), Error);  // no chat template
  const TaskPrompt plain = task_prompts({task}, tokenizer, {.style = "plain"}, "model")[0];
  EXPECT_EQ(plain.text, "2+2?\n");
  EXPECT_EQ(plain.ids.front(), kByteBos);
  const TaskPrompt zero = task_prompts({task}, tokenizer, {.style = "r1-zero"}, "model")[0];
  EXPECT_TRUE(zero.text.ends_with("User: 2+2? Assistant:")) << zero.text;
}

}  // namespace
}  // namespace hadal
