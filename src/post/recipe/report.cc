#include <algorithm>
#include <array>
#include <map>

#include "base/file.h"
#include "post/recipe/run_recipe.h"
#include "post/recipe/summary.h"
#include "train/metrics.h"
#include "train/report.h"

namespace hadal {
extern const std::string_view recipe_report_sections_text;
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostPoints = 400;  // of a curve
constexpr std::size_t kQuestions = 12;    // whose answers stand side by side

/// {"step": [...], "reward": [...], ...} of the steps of a run that begin an exploration.
JsonObject curves(const fs::path& run) {
  constexpr std::array<const char*, 7> kKeys{"step",    "reward",         "accuracy", "length", "reflective_words",
                                             "entropy", "reward_language"};
  const std::vector<JsonObject> lines = read_json_log(run / "metrics.jsonl");
  const std::size_t every = std::max<std::size_t>(1, (lines.size() + kMostPoints - 1) / kMostPoints);
  JsonObject columns;
  for (const char* key : kKeys) {
    JsonArray column;
    bool any = false;
    for (std::size_t i = 0; i < lines.size(); i += every) {
      const Json* const value = lines[i].if_contains(key);
      any = any || value != nullptr;
      column.push_back(value != nullptr ? *value : Json());
    }
    if (any) columns[key] = std::move(column);
  }
  return columns;
}

/// The first answer of a model to every question, by id.
std::map<std::string, JsonObject> first_answers(const fs::path& candidates) {
  std::map<std::string, JsonObject> answers;
  for (JsonObject& line : read_json_log(candidates))
    answers.try_emplace(json_as<std::string>(line.at("id"), "id"), std::move(line));
  return answers;
}

JsonArray side_by_side(const JsonArray& evaluations, const fs::path& out) {
  JsonArray questions;
  if (evaluations.empty()) return questions;
  std::vector<std::pair<std::string, std::map<std::string, JsonObject>>> models;
  for (const Json& evaluation : evaluations)
    models.emplace_back(
        std::string(evaluation.at("title").get_string()),
        first_answers(out / ("eval-" + std::string(evaluation.at("stage").get_string())) / "candidates.jsonl"));
  std::map<std::string, std::size_t> shown;  // questions of a class
  for (const JsonObject& line :
       read_json_log(out / ("eval-" + std::string(evaluations[0].at("stage").get_string())) / "candidates.jsonl")) {
    const std::string id = json_as<std::string>(line.at("id"), "id");
    if (questions.size() == kQuestions || ++shown[json_as<std::string>(line.at("class"), "class")] > 4) continue;
    JsonArray answers;
    for (const auto& [title, by_id] : models) {
      const auto found = by_id.find(id);
      if (found == by_id.end()) continue;
      const JsonObject& said = found->second.at("messages").as_array().back().as_object();
      const Json* const reasoning = said.if_contains("reasoning_content");
      answers.push_back(JsonObject{{"model", title},
                                   {"reasoning", reasoning != nullptr ? *reasoning : Json("")},
                                   {"answer", said.at("content")},
                                   {"correct", found->second.at("correct")}});
    }
    questions.push_back(JsonObject{{"question", line.at("messages").as_array().front().at("content")},
                                   {"answers", std::move(answers)}});
  }
  return questions;
}

}  // namespace

fs::path write_recipe_report(const Recipe& recipe, const fs::path& out, const JsonObject& summary) {
  JsonArray learning;
  for (const Stage& stage : recipe.stages)
    if (stage.verb == "grpo" && stage_result(out, stage.name))
      learning.push_back(JsonObject{{"stage", stage.name},
                                    {"title", stage.title.empty() ? stage.name : stage.title},
                                    {"curves", curves(out / stage.name)}});
  JsonObject data = summary;
  data["name"] = fs::weakly_canonical(out).filename().string();
  data["learning"] = std::move(learning);
  data["questions"] = side_by_side(summary.at("evaluations").as_array(), out);
  fs::path path = out / "report.html";
  write_file_atomically(path, report_page(data, recipe_report_sections_text));
  return path;
}

}  // namespace hadal
