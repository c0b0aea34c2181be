#pragma once
// Runs the stages of a recipe, each as a process of the same program with a config that stays, and remembers which are
// done.
#include <filesystem>
#include <string>

#include "post/recipe/recipe.h"

namespace hadal {

struct RecipeRunOptions {
  std::filesystem::path out;
  std::int64_t seed = 1;
  int threads = 0;
  std::string until;    // the last stage to run; empty: all
  std::string program;  // what runs the verbs; empty: this program
};

/// What a finished stage left: OUT/steps/<name>.done.json.
struct StageResult {
  JsonObject options, result;  // result: what the verb printed with --json
  double seconds = 0, cpu_seconds = 0;
};

/// Nothing when the stage is not done. Throws Error for a file that is broken.
std::optional<StageResult> stage_result(const std::filesystem::path& out, const std::string& stage);

/// Runs what is not done yet, in order. A stage that was stopped goes on where it was; SIGINT and SIGTERM are passed on
/// to the stage at work, which saves and ends. Returns false when it was stopped so. Throws Error when a stage fails,
/// or is done with other options than the recipe has now: nothing is ever done twice or thrown away.
bool run_recipe(const Recipe& recipe, const RecipeRunOptions& options);

}  // namespace hadal
