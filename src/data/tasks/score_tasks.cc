#include "data/tasks/score_tasks.h"

#include <map>
#include <set>
#include <unordered_map>

#include "base/file.h"
#include "base/json_lines.h"
#include "base/log.h"

namespace hadal {
namespace {

struct ScoredResponse {
  const TaskRecord* task = nullptr;
  std::string response, prompt;
  index_t num_tokens = 0;
  RewardResult result;
};

std::vector<ScoredResponse> read_responses(const ScoreTasksOptions& options, const TaskFile& file) {
  std::unordered_map<std::string_view, const TaskRecord*> by_id;
  for (const TaskRecord& task : file.tasks) by_id[task.id] = &task;
  std::vector<ScoredResponse> responses;
  for_each_json_line(options.responses, [&](const Json& line, const std::string& where) {
    ObjectReader reader(line, where);
    const std::string id = reader.get<std::string>("id");
    const auto task = by_id.find(id);
    HADAL_CHECK(task != by_id.end(), where, ": id: got \"", id, "\", which is no task of ", options.tasks);
    responses.push_back({.task = task->second,
                         .response = reader.get<std::string>("response"),
                         .prompt = reader.get_or<std::string>("prompt", options.opened_think ? "<think>" : ""),
                         .num_tokens = reader.get_or<std::int64_t>("num_tokens", 0)});
  });
  HADAL_CHECK(!responses.empty(), options.responses, ": no responses");
  return responses;
}

// Sums over responses.
struct Tally {
  std::set<std::string_view> tasks, solved;
  std::int64_t responses = 0, correct = 0;
  double reward = 0;
  std::map<std::string_view, double> parts;

  void add(const ScoredResponse& r) {
    tasks.insert(r.task->id);
    if (r.result.correct) solved.insert(r.task->id);
    ++responses, correct += r.result.correct;
    reward += r.result.total;
    for (const RewardPart& part : r.result.parts) parts[part.name] += part.value;
  }
  JsonObject json() const {
    const auto n = static_cast<double>(responses);
    JsonObject means;
    for (const auto& [name, sum] : parts) means[name] = sum / n;
    return {{"tasks", tasks.size()},
            {"responses", responses},
            {"accuracy", static_cast<double>(correct) / n},
            {"solved", static_cast<double>(solved.size()) / static_cast<double>(tasks.size())},
            {"reward", reward / n},
            {"parts", std::move(means)}};
  }
};

void write_details(const std::string& path, const std::vector<ScoredResponse>& responses) {
  std::string text;
  for (const ScoredResponse& r : responses) {
    JsonObject parts;
    for (const RewardPart& part : r.result.parts) parts[part.name] = part.value;
    text += json_line(JsonObject{{"id", r.task->id},
                                 {"total", r.result.total},
                                 {"correct", r.result.correct},
                                 {"parts", std::move(parts)},
                                 {"answer", r.result.answer},
                                 {"note", r.result.note}}) +
            "\n";
  }
  write_file_atomically(path, text);
}

}  // namespace

JsonObject score_tasks(const ScoreTasksOptions& options) {
  const TaskFile file = load_tasks(options.tasks);
  for (std::size_t i = 0; i < std::min<std::size_t>(file.dropped.size(), 5); ++i) log_warning(file.dropped[i]);
  std::vector<ScoredResponse> responses = read_responses(options, file);
  const Reward reward(options.reward);
  std::vector<TaskRecord> asked;
  std::set<std::string_view> answered;
  for (const ScoredResponse& r : responses)
    if (answered.insert(r.task->id).second) asked.push_back(*r.task);
  const std::vector<std::string> walls = reward.prepare(asked);
  ThreadPool pool(options.threads);
  pool.parallel_for(static_cast<index_t>(responses.size()), [&](index_t i, int) {
    ScoredResponse& r = responses[static_cast<std::size_t>(i)];
    r.result = reward({.task = *r.task, .prompt = r.prompt, .response = r.response, .num_tokens = r.num_tokens});
  });
  if (!options.details.empty()) write_details(options.details, responses);

  std::map<std::string_view, Tally> tallies;
  Tally all;
  for (const ScoredResponse& r : responses) tallies[r.task->task_class].add(r), all.add(r);
  JsonObject classes;
  for (const auto& [name, tally] : tallies) classes[name] = tally.json();
  JsonObject summary{{"classes", std::move(classes)},
                     {"all", all.json()},
                     {"dropped", file.dropped.size()},
                     {"unanswered", file.tasks.size() - answered.size()}};
  if (!walls.empty()) {
    JsonArray layers;
    for (const std::string& layer : walls) layers.emplace_back(layer);
    summary["sandbox"] = std::move(layers);
  }
  return summary;
}

std::string score_text(const JsonObject& summary) {
  std::string text;
  if (const Json* layers = summary.if_contains("sandbox"))
    for (const Json& layer : layers->as_array())
      text += fmt::format("sandbox: {}\n", std::string_view(layer.as_string()));
  text += fmt::format("{:<14} {:>6} {:>9} {:>8} {:>7} {:>8}  parts\n", "class", "tasks", "responses", "accuracy",
                      "solved", "reward");
  const auto row = [&](std::string_view name, const JsonObject& o) {
    text += fmt::format("{:<14} {:>6} {:>9} {:>8.3f} {:>7.3f} {:>8.3f} ", name, o.at("tasks").to_number<std::int64_t>(),
                        o.at("responses").to_number<std::int64_t>(), o.at("accuracy").as_double(),
                        o.at("solved").as_double(), o.at("reward").as_double());
    for (const auto& part : o.at("parts").as_object())
      text += fmt::format(" {} {:.3f}", std::string_view(part.key()), part.value().as_double());
    text += "\n";
  };
  for (const auto& entry : summary.at("classes").as_object()) row(entry.key(), entry.value().as_object());
  row("all", summary.at("all").as_object());
  text +=
      fmt::format("tasks without a response: {}; tasks that cannot be graded: {}\n",
                  summary.at("unanswered").to_number<std::int64_t>(), summary.at("dropped").to_number<std::int64_t>());
  return text;
}

}  // namespace hadal
