// Generated tasks: their answers are worked out again from the text of the question.
#include "data/tasks/make_tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "base/file.h"
#include "data/sft/conversation.h"
#include "data/tasks/score_tasks.h"
#include "data/tasks/text_rewards.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

std::string question(const TaskRecord& task) {
  return std::string(task.messages.at(0).at("content").as_string());
}

std::vector<int> numbers(const std::string& text) {
  std::vector<int> found;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] < '0' || text[i] > '9') {
      ++i;
      continue;
    }
    std::size_t length = 0;
    found.push_back(std::stoi(text.substr(i), &length));
    i += length;
  }
  return found;
}

std::string joined(const std::vector<int>& v) {
  return fmt::format("{}", fmt::join(v, " "));
}

// The answer by another way than the generator's.
std::string expected(const TaskRecord& task) {
  std::vector<int> n = numbers(question(task));
  if (task.task_class == "sort") {
    std::stable_sort(n.begin(), n.end());
    return joined(n);
  }
  if (task.task_class == "count") {
    const int least = n[0];
    return std::to_string(std::count_if(n.begin() + 1, n.end(), [&](int d) { return d >= least; }));
  }
  if (task.task_class == "max") return std::to_string(*std::max_element(n.begin(), n.end()));
  if (task.task_class == "modular") return std::to_string((n[0] * n[1] + n[2]) % n[3]);
  if (task.task_class == "add") {
    const std::string q = question(task);
    std::int64_t total = 0, sign = 1, value = 0;
    for (const char c : q) {
      if (c >= '0' && c <= '9') value = value * 10 + (c - '0');
      if (c == '+' || c == '-') total += sign * value, value = 0, sign = c == '+' ? 1 : -1;
    }
    return std::to_string(total + sign * value);
  }
  std::vector<std::string> letters;
  std::istringstream in(question(task).substr(question(task).find_last_of(":\x9A") + 1));
  for (std::string letter; in >> letter;) letters.push_back(letter);
  const std::string q = question(task);
  if (q.starts_with("Write backwards") || q.starts_with("\xE5\x80\x92"))
    return fmt::format("{}", fmt::join(letters.rbegin(), letters.rend(), " "));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    if (q.starts_with("Move") || q.starts_with("\xE6\x8A\x8A"))
      out.push_back(letters[(i + 1) % letters.size()]);
    else if (q.starts_with("Swap") || q.starts_with("\xE4\xB8\xA4"))
      out.push_back(i % 2 == 0 ? letters[std::min(i + 1, letters.size() - 1)] : letters[i - 1]);
    else
      out.insert(out.end(), {letters[i], letters[i]});
  }
  return fmt::format("{}", fmt::join(out, " "));
}

TEST(MakeTasks, AnswersAreRight) {
  for (const int size : {2, 5, 6, 9}) {
    const MakeTasksOptions options{.classes = {"sort", "count", "add", "modular", "rule", "max"},
                                   .train = size == 2 ? 20 : 50,
                                   .test = size == 2 ? 2 : 10,
                                   .size = size};
    for (const bool test : {false, true}) {
      for (const TaskRecord& task : generate_tasks(options, test)) {
        EXPECT_EQ(task.answer, expected(task)) << task.id << ": " << question(task);
        ASSERT_EQ(task.solutions.size(), 2U);
        EXPECT_EQ(task.solutions[0].answer, task.answer);
        EXPECT_TRUE(task.solutions[1].thinking.starts_with(task.solutions[0].thinking));
        EXPECT_EQ(language_consistency(task.solutions[1].thinking, task.language), 1) << task.solutions[1].thinking;
        const Result<TaskRecord> again = parse_task(task_json(task), "again");
        EXPECT_TRUE(again.ok()) << (again.ok() ? "" : again.message());
      }
    }
  }
}

TEST(MakeTasks, PartsShareNoProblem) {
  // A problem belongs to one part whatever the seed and the language.
  std::set<std::string> train, test;
  for (const std::int64_t seed : {1, 2}) {
    const MakeTasksOptions options{.languages = {"en"}, .train = 400, .test = 40, .size = 4, .seed = seed};
    for (const TaskRecord& task : generate_tasks(options, false)) train.insert(question(task));
    for (const TaskRecord& task : generate_tasks(options, true)) test.insert(question(task));
  }
  EXPECT_GT(test.size(), 200U);
  for (const std::string& q : test) EXPECT_FALSE(train.contains(q)) << q;
}

TEST(MakeTasks, IsAFunctionOfTheSeed) {
  const MakeTasksOptions options{.train = 10, .test = 3, .seed = 7};
  const auto text = [](const MakeTasksOptions& o) {
    std::string all;
    for (const TaskRecord& task : generate_tasks(o, false)) all += json_line(task_json(task)) + "\n";
    return all;
  };
  EXPECT_EQ(text(options), text(options));
  MakeTasksOptions other = options;
  other.seed = 8;
  EXPECT_NE(text(options), text(other));
  // More tasks begin with the same ones.
  MakeTasksOptions more = options;
  more.train = 20;
  EXPECT_TRUE(text(more).starts_with(text(options)));
  const std::string lines = text(options);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 10 * 5 * 2);
  MakeTasksOptions tiny{.classes = {"sort"}, .train = 100000, .size = 2};
  EXPECT_NE(error_of([&] { generate_tasks(tiny, false); }).find("ask for fewer"), std::string::npos);
  EXPECT_NE(error_of([] { generate_task("sort", "fr", 5, TaskDraws(1, 0, 0)); }).find("en or zh"), std::string::npos);
  EXPECT_NE(error_of([] { generate_task("sort", "en", 50, TaskDraws(1, 0, 0)); }).find("2 to 18"), std::string::npos);
}

TEST(MakeTasks, FilesGoThroughScoring) {
  const TempDir folder;
  MakeTasksOptions options{.out = (folder / "tasks").string(), .answer_form = "tags", .train = 5, .test = 4};
  options.styles = {"steps", "random"};
  const JsonObject made = make_tasks(options);
  EXPECT_EQ(made.at("train").to_number<int>(), 50);
  EXPECT_EQ(made.at("test").to_number<int>(), 40);
  EXPECT_EQ(made.at("sft").to_number<int>(), 100);
  // Cold-start conversations are such that sft-data takes.
  std::istringstream lines(read_file(folder / "tasks/sft.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line, "sft");
    ASSERT_TRUE(parse_conversation(json, detect_shape(json).value()).ok()) << line;
  }
  // Right answers to even tasks, wrong ones to odd tasks; two samples of the first.
  const TaskFile file = load_tasks(folder / "tasks/test.jsonl");
  std::string responses;
  for (std::size_t i = 0; i < file.tasks.size(); ++i) {
    const TaskRecord& t = file.tasks[i];
    responses +=
        json_line(JsonObject{{"id", t.id}, {"response", "<think>hm</think>" + (i % 2 == 0 ? t.answer : "none")}}) +
        "\n";
  }
  responses += json_line(JsonObject{{"id", file.tasks[0].id}, {"response", "?"}}) + "\n";
  write_file_atomically(folder / "r.jsonl", responses);
  ScoreTasksOptions score{.tasks = (folder / "tasks/test.jsonl").string(),
                          .responses = (folder / "r.jsonl").string(),
                          .details = (folder / "d.jsonl").string(),
                          .threads = 2};
  const JsonObject summary = score_tasks(score);
  const JsonObject& all = summary.at("all").as_object();
  EXPECT_EQ(all.at("responses").to_number<int>(), 41);
  EXPECT_DOUBLE_EQ(all.at("accuracy").as_double(), 20.0 / 41);
  EXPECT_DOUBLE_EQ(all.at("solved").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(all.at("parts").as_object().at("format").as_double(), 40.0 / 41);
  EXPECT_EQ(summary.at("unanswered").to_number<int>(), 0);
  EXPECT_EQ(summary.at("classes").as_object().size(), 5U);
  EXPECT_NE(score_text(summary).find("modular"), std::string::npos);
  const std::string details = read_file(folder / "d.jsonl");
  EXPECT_EQ(std::count(details.begin(), details.end(), '\n'), 41);
  score.threads = 1;
  EXPECT_EQ(json_line(score_tasks(score)), json_line(summary));
  write_file_atomically(folder / "r.jsonl", R"({"id":"x","response":"1"})");
  EXPECT_NE(error_of([&] { score_tasks(score); }).find("no task of"), std::string::npos);
}

std::vector<JsonObject> lines_of(const std::filesystem::path& file) {
  std::vector<JsonObject> objects;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) objects.push_back(parse_json(line, "line").as_object());
  return objects;
}

TEST(MakeTasks, TextForABaseModelHoldsGuesses) {
  const TempDir folder;
  make_tasks({.out = folder.path().string(), .classes = {"sort", "max"}, .sizes = {5, 6}, .train = 200, .test = 1});
  std::map<std::string, TaskRecord> by_question;
  for (TaskRecord& task : load_tasks(folder / "train.jsonl").tasks) by_question.emplace(question(task), task);
  int documents = 0, lists = 0, right = 0, broken = 0, other_language = 0;
  for (const JsonObject& line : lines_of(folder / "text.jsonl")) {
    const std::string text = json_as<std::string>(line.at("text"), "text");
    if (!text.starts_with("User: ")) {  // a list of digits in four orders
      std::set<std::string> orders;
      std::istringstream in(text);
      for (std::string order; std::getline(in, order);) {
        std::vector<int> digits = numbers(order);
        std::sort(digits.begin(), digits.end());
        orders.insert(joined(digits));
      }
      EXPECT_EQ(orders.size(), 1U) << text;
      ++lists;
      continue;
    }
    ++documents;
    const std::size_t end = text.find(" Assistant: ");
    const TaskRecord& task = by_question.at(text.substr(6, end - 6));
    const std::string response = text.substr(end + 12);
    broken += format_reward("", response, true) < 1 ? 1 : 0;
    other_language += language_consistency(response, task.language) < 0.5 ? 1 : 0;
    right += numbers(response) == numbers(task.answer) ? 1 : 0;
  }
  EXPECT_EQ(documents, 800);
  EXPECT_NEAR(lists, 400, 60);
  EXPECT_NEAR(broken, 160, 50);
  EXPECT_NEAR(other_language, 400, 60);
  EXPECT_LT(right, 80);  // a tenth of the guesses at the largest digit, hardly any order
}

TEST(MakeTasks, WorseTalkDiffersFromTheGoodOne) {
  const TempDir folder;
  make_tasks({.out = folder.path().string(), .classes = {"talk"}, .train = 300, .test = 20});
  const std::vector<JsonObject> pairs = lines_of(folder / "pairs.jsonl");
  EXPECT_EQ(pairs.size(), 300U * 2 * 4);
  for (const JsonObject& pair : pairs) EXPECT_NE(pair.at("chosen"), pair.at("rejected"));
  EXPECT_EQ(lines_of(folder / "pairs_test.jsonl").size(), 20U * 2 * 4);
  int curt = 0;
  for (const TaskRecord& task : load_tasks(folder / "train.jsonl").tasks) {
    EXPECT_EQ(task.grader, Grader::kNone);
    EXPECT_EQ(language_consistency(task.solutions.at(0).thinking, task.language), 1) << task.solutions[0].thinking;
    curt += task.solutions[0].answer.size() < 16 ? 1 : 0;
  }
  EXPECT_NEAR(curt, 300, 60);
}

}  // namespace
}  // namespace hadal
