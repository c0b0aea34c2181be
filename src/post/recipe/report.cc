#include <algorithm>
#include <array>

#include "base/file.h"
#include "post/recipe/answers.h"
#include "post/recipe/run_recipe.h"
#include "post/recipe/summary.h"
#include "train/metrics.h"
#include "train/report.h"

namespace hadal {
extern const std::string_view recipe_report_sections_text;
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostPoints = 400;  // of a curve

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
  data["questions"] = side_by_side(summary, out);
  fs::path path = out / "report.html";
  write_file_atomically(path, report_page(data, recipe_report_sections_text));
  return path;
}

}  // namespace hadal
