#pragma once
// Recipes: several verbs of the program in a row, each with a config of its own, as one JSON file. R1 is one
// (configs/recipes/r1-tiny.json):
//   {"about": "...",
//    "defaults": {"grpo": {...}},                  options that all stages of a verb begin with
//    "evaluation": {...},                          options of `sample` for all evaluations
//    "stages": [{"name": "r1-zero", "verb": "grpo", "title": "R1-Zero", "about": "pure reinforcement learning",
//                "options": {"model": "{base}"}, "evaluate": {"prompt": {...}}}, ...]}
// Each stage works in OUT/<name>. In options, "{name}" at the start of a text stands for the model of an earlier stage,
// or its folder where it makes none; "{name}/file" for a file in its folder; "{recipe}/file" for one beside the recipe.
// A stage with "evaluate" is followed by a stage "eval-<name>": `sample` with the options of "evaluation" and these.
// {"evaluates": "name", "options": {...}} among the stages does the same at a later place.
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace hadal {

struct Stage {
  std::string name, verb, title, about;  // title: of what it makes, in tables; empty: no row of its own
  JsonObject options;                    // with the defaults of the verb
  std::string evaluates;                 // name of the stage whose model this one measures; empty: none

  /// Its options with everything filled in: out, seed, json, and references to `model_of` and OUT.
  JsonObject resolved(const std::filesystem::path& out, std::int64_t seed, int threads,
                      const std::function<std::string(const std::string& stage)>& model_of) const;
  /// Whether the verb writes a run folder, and goes on in it with --resume.
  bool resumes() const;
};

struct Recipe {
  std::string about;
  std::vector<Stage> stages;  // evaluations among them
  const Stage& stage(const std::string& name) const;
};

/// How a recipe is run other than its file says. Each change is "stage.a.b=value", an option of a stage as JSON or
/// text. `scale` multiplies the optimizer steps of all stages that no change names (at least 1 stays).
struct RecipeChanges {
  std::vector<std::string> options;
  double scale = 1;
};

/// Reads and checks a recipe. Throws Error for unknown keys, a verb that recipes do not know, a name given twice, a
/// reference to a stage that is not earlier, a change of no stage.
Recipe load_recipe(const std::filesystem::path& file, const RecipeChanges& changes = {});

/// `over` wins, objects are merged key by key.
JsonObject merged(JsonObject base, const JsonObject& over);

}  // namespace hadal
