#include "data/tasks/task_record.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

Result<TaskRecord> parse(const std::string& line) {
  return parse_task(parse_json(line, "test"), "test");
}

TEST(TaskRecord, ReadsWhatItWrites) {
  const std::string line =
      R"({"id":"a","class":"c","language":"zh","messages":[{"role":"user","content":"q"}],"grader":"sequence","answer":"1 2",)"
      R"("solutions":[{"style":"steps","thinking":"t","answer":"1 2"}]})";
  const Result<TaskRecord> task = parse(line);
  ASSERT_TRUE(task.ok()) << task.message();
  EXPECT_EQ(json_line(task_json(task.value())), line);
  const std::string code =
      R"({"id":"a","class":"c","language":"","messages":[{"role":"user","content":"q"}],"grader":"code","answer":"",)"
      R"("code":{"prompt":"","entry_point":"","tests":"","cases":[{"input":"1","output":"2"}]}})";
  EXPECT_EQ(json_line(task_json(parse(code).value())), code);
  EXPECT_EQ(parse(R"({"id":"a","class":"c","prompt":"q","answer":"5"})").value().messages.size(), 1U);
}

TEST(TaskRecord, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"class":"c","prompt":"q","answer":"5"})", "id"},
      {R"({"id":"a","class":"c","answer":"5"})", "messages"},
      {R"({"id":"a","class":"c","messages":[],"answer":"5"})", "messages"},
      {R"({"id":"a","class":"c","prompt":"q"})", "answer: is missing"},
      {R"({"id":"a","class":"c","prompt":"q","answer":"\\frac{1"})", "no answer that can be compared"},
      {R"({"id":"a","class":"c","prompt":"q","answer":"5","grader":"x"})", "math|exact"},
      {R"({"id":"a","class":"c","prompt":"q","grader":"code","code":{}})", "tests or cases"},
      {R"({"id":"a","class":"c","prompt":"q","answer":"5","typo":1})", "typo"},
      {R"([1])", "object"},
  };
  for (const auto& [line, message] : kCases) {
    const Result<TaskRecord> task = parse(line);
    ASSERT_FALSE(task.ok()) << line;
    EXPECT_NE(task.message().find(message), std::string::npos) << task.message();
  }
}

TEST(TaskRecord, BadTasksAreLeftOutAndCounted) {
  const TempDir folder;
  const std::string good = R"({"id":"a","class":"c","prompt":"q","answer":"5"})";
  write_file_atomically(folder / "t.jsonl",
                        good + "\n\n" + R"({"id":"b","class":"c","prompt":"q","answer":"1 +"})" + "\n");
  const TaskFile file = load_tasks(folder / "t.jsonl");
  EXPECT_EQ(file.tasks.size(), 1U);
  ASSERT_EQ(file.dropped.size(), 1U);
  EXPECT_NE(file.dropped[0].find("t.jsonl:3"), std::string::npos) << file.dropped[0];
  write_file_atomically(folder / "t.jsonl", good + "\n" + good + "\n");
  EXPECT_NE(error_of([&] { load_tasks(folder / "t.jsonl"); }).find("was there before"), std::string::npos);
  write_file_atomically(folder / "t.jsonl", "{}\n");
  EXPECT_NE(error_of([&] { load_tasks(folder / "t.jsonl"); }).find("no task can be used"), std::string::npos);
  EXPECT_NE(error_of([&] { load_tasks(folder / "none.jsonl"); }), "");
}

TEST(TaskRecord, Gsm8k) {
  const TempDir folder;
  write_file_atomically(folder / "g.jsonl",
                        R"({"question": "How many?", "answer": "2*3=<<2*3=6>>6 eggs.\nSo 6 <<.\n#### 1,006"})");
  const TaskRecord task = load_tasks(folder / "g.jsonl").tasks.at(0);
  EXPECT_EQ(task.answer, "1,006");
  EXPECT_EQ(task.solutions.at(0).thinking, "2*3=6 eggs.\nSo 6 ");
  if (shared_dir().empty() || !std::filesystem::exists(shared_dir() / "data/gsm8k_train.jsonl"))
    GTEST_SKIP() << "no GSM8K here";
  const TaskFile train = load_tasks(shared_dir() / "data/gsm8k_train.jsonl");
  EXPECT_EQ(train.tasks.size() + train.dropped.size(), 7473U);
  EXPECT_EQ(train.dropped.size(), 0U) << train.dropped.front();
}

}  // namespace
}  // namespace hadal
