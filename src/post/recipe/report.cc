#include "train/report.h"
#include "base/file.h"
#include "post/recipe/answers.h"
#include "post/recipe/run_recipe.h"
#include "post/recipe/summary.h"

namespace hadal {
extern const std::string_view recipe_report_sections_text;

namespace fs = std::filesystem;

fs::path write_recipe_report(const Recipe& recipe, const fs::path& out, const JsonObject& summary) {
  JsonArray learning;
  for (const Stage& stage : recipe.stages)
    if (stage.verb == "grpo" && stage_result(out, stage.name))
      learning.push_back(JsonObject{{"stage", stage.name},
                                    {"title", stage.title.empty() ? stage.name : stage.title},
                                    {"curves", metric_columns(out / stage.name)}});
  JsonObject data = summary;
  data["name"] = fs::weakly_canonical(out).filename().string();
  data["learning"] = std::move(learning);
  data["questions"] = side_by_side(summary, out);
  fs::path path = out / "report.html";
  write_file_atomically(path, report_page(data, recipe_report_sections_text));
  return path;
}

}  // namespace hadal
