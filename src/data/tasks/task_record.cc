#include "data/tasks/task_record.h"

#include <array>
#include <unordered_set>

#include "data/corpus/record_reader.h"
#include "data/tasks/math_answer.h"

namespace hadal {
namespace {

constexpr std::array<std::string_view, 5> kGraders{"math", "exact", "sequence", "code", "none"};

Grader parse_grader(const std::string& name, const std::string& at) {
  for (std::size_t i = 0; i < kGraders.size(); ++i)
    if (kGraders[i] == name) return static_cast<Grader>(i);
  fail(at, ": got \"", name, "\", want math|exact|sequence|code|none");
}

JsonArray user_message(std::string_view content) {
  return {JsonObject{{"role", "user"}, {"content", content}}};
}

CodeTests read_code(ObjectReader reader) {
  CodeTests code{.prompt = reader.get_or<std::string>("prompt", ""),
                 .entry_point = reader.get_or<std::string>("entry_point", ""),
                 .tests = reader.get_or<std::string>("tests", "")};
  if (const Json* cases = reader.find_value("cases")) {
    if (!cases->is_array()) reader.reject("cases", "an array");
    for (const Json& entry : cases->get_array()) {
      ObjectReader one(entry, reader.at("cases"));
      code.cases.push_back({.input = one.get<std::string>("input"), .output = one.get<std::string>("output")});
      one.finish();
    }
  }
  reader.finish();
  HADAL_CHECK(code.tests.empty() != code.cases.empty(), reader.at("tests"), ": want tests or cases, and not both");
  return code;
}

TaskRecord read_task(const Json& line, const std::string& where) {
  ObjectReader reader(line, where);
  TaskRecord task;
  task.id = reader.get<std::string>("id");
  task.task_class = reader.get<std::string>("class");
  task.language = reader.get_or<std::string>("language", "");
  if (reader.has("prompt")) {
    task.messages = user_message(reader.get<std::string>("prompt"));
  } else {
    const Json& messages = reader.value("messages");
    if (!messages.is_array() || messages.get_array().empty()) reader.reject("messages", "an array of messages");
    task.messages = messages.get_array();
  }
  task.grader = parse_grader(reader.get_or<std::string>("grader", "math"), reader.at("grader"));
  task.answer = reader.get_or<std::string>("answer", "");
  if (task.grader == Grader::kCode) {
    task.code = read_code(reader.object("code"));
  } else if (task.grader != Grader::kNone) {
    HADAL_CHECK(!task.answer.empty(), reader.at("answer"), ": is missing");
  }
  if (task.grader == Grader::kMath) {
    const Result<MathGold> gold = MathGold::parse(task.answer);
    HADAL_CHECK(gold.ok(), reader.at("answer"), ": ", gold.ok() ? "" : gold.message());
  }
  if (const Json* solutions = reader.find_value("solutions")) {
    if (!solutions->is_array()) reader.reject("solutions", "an array");
    for (const Json& entry : solutions->get_array()) {
      ObjectReader one(entry, reader.at("solutions"));
      task.solutions.push_back({.style = one.get<std::string>("style"),
                                .thinking = one.get<std::string>("thinking"),
                                .answer = one.get<std::string>("answer")});
      one.finish();
    }
  }
  reader.skip("meta");
  reader.finish();
  return task;
}

TaskRecord read_gsm8k(const Json& line, const std::string& where, std::int64_t number) {
  ObjectReader reader(line, where);
  const std::string question = reader.get<std::string>("question"), solution = reader.get<std::string>("answer");
  reader.finish();
  const std::size_t mark = solution.rfind("####");
  HADAL_CHECK(mark != std::string::npos, where, ": answer: want \"#### \" and the final number");
  TaskRecord task{
      .id = str_cat("gsm8k/", number), .task_class = "gsm8k", .language = "en", .messages = user_message(question)};
  const std::size_t begin = solution.find_first_not_of(' ', mark + 4);
  task.answer = begin == std::string::npos ? "" : solution.substr(begin);
  const Result<MathGold> gold = MathGold::parse(task.answer);
  HADAL_CHECK(gold.ok(), where, ": answer: ", gold.ok() ? "" : gold.message());
  // The calculator's notes <<3*4=12>> are not meant to be read.
  std::string thinking;
  for (std::size_t at = 0; at < mark;) {
    const std::size_t open = std::min(solution.find("<<", at), mark);
    thinking.append(solution, at, open - at);
    const std::size_t close = open == mark ? mark : solution.find(">>", open);
    at = close >= mark ? mark : close + 2;
  }
  while (!thinking.empty() && thinking.back() == '\n') thinking.pop_back();
  task.solutions = {{.style = "gsm8k", .thinking = thinking, .answer = task.answer}};
  return task;
}

TaskRecord read_humaneval(const Json& line, const std::string& where) {
  ObjectReader reader(line, where);
  TaskRecord task{
      .id = reader.get<std::string>("task_id"), .task_class = "humaneval", .language = "en", .grader = Grader::kCode};
  task.code = {.prompt = reader.get<std::string>("prompt"),
               .entry_point = reader.get<std::string>("entry_point"),
               .tests = reader.get<std::string>("test")};
  task.messages = user_message("Complete this Python function.\n\n```python\n" + task.code.prompt + "```");
  task.answer = reader.get_or<std::string>("canonical_solution", "");
  reader.finish();
  return task;
}

}  // namespace

std::string_view grader_name(Grader grader) {
  return kGraders[static_cast<std::size_t>(grader)];
}

Result<TaskRecord> parse_task(const Json& line, const std::string& where) {
  try {
    return read_task(line, where);
  } catch (const Error& error) {
    return Failure{error.what()};
  }
}

JsonObject task_json(const TaskRecord& task) {
  JsonObject json{{"id", task.id},
                  {"class", task.task_class},
                  {"language", task.language},
                  {"messages", task.messages},
                  {"grader", grader_name(task.grader)},
                  {"answer", task.answer}};
  if (task.grader == Grader::kCode) {
    JsonObject code{{"prompt", task.code.prompt}, {"entry_point", task.code.entry_point}, {"tests", task.code.tests}};
    JsonArray cases;
    for (const CodeTests::Case& c : task.code.cases)
      cases.push_back(JsonObject{{"input", c.input}, {"output", c.output}});
    if (!cases.empty()) code["cases"] = std::move(cases);
    json["code"] = std::move(code);
  }
  JsonArray solutions;
  for (const WorkedSolution& s : task.solutions)
    solutions.push_back(JsonObject{{"style", s.style}, {"thinking", s.thinking}, {"answer", s.answer}});
  if (!solutions.empty()) json["solutions"] = std::move(solutions);
  return json;
}

TaskFile load_tasks(const std::filesystem::path& path) {
  RecordReader reader({{.path = path, .format = TextFormat::kJsonl}}, {});
  TaskFile file;
  std::unordered_set<std::string> ids;
  for (Record record; reader.next(record);) {
    const std::string where = str_cat(path.string(), ":", record.number);
    HADAL_CHECK(record.problem.empty(), where, ": ", record.problem);
    const Json line = parse_json(record.bytes, where);
    const JsonObject* object = line.if_object();
    HADAL_CHECK(object != nullptr, where, ": want an object");
    try {
      TaskRecord task = object->contains("question")  ? read_gsm8k(line, where, record.number)
                        : object->contains("task_id") ? read_humaneval(line, where)
                                                      : read_task(line, where);
      file.tasks.push_back(std::move(task));
    } catch (const Error& error) {
      file.dropped.emplace_back(error.what());
      continue;
    }
    const std::string& id = file.tasks.back().id;
    HADAL_CHECK(ids.insert(id).second, where, ": the id \"", id, "\" was there before");
  }
  HADAL_CHECK(!file.tasks.empty(), path.string(), ": no task can be used",
              file.dropped.empty() ? "" : "; the first: " + file.dropped.front());
  return file;
}

}  // namespace hadal
