#include "post/recipe/cmd_r1.h"

#include <fmt/format.h>

#include "base/log.h"
#include "post/recipe/answers.h"
#include "post/recipe/run_recipe.h"
#include "post/recipe/summary.h"

namespace hadal {
namespace {

struct R1Options {
  std::string recipe = "configs/recipes/r1-tiny.json", out, until;
  std::int64_t seed = 1;
  RecipeChanges changes;
  int threads = 0;
  bool json = false;
  template <class V>
  void visit(V&& v) {
    v("recipe", recipe, "stages and their options, as JSON", {.placeholder = "FILE"});
    v("out", out, "folder; a second call goes on where the first was stopped",
      {.required = true, .placeholder = "DIR"});
    v("until", until, "the last stage to run");
    v("change", changes.options, "options of stages: stage.a.b=value", {.placeholder = "CHANGE"});
    v("scale", changes.scale, "multiplies the optimizer steps of all stages");
    v("seed", seed, "of all stages");
    v("threads", threads, "0: all CPUs");
    v("json", json, "print the summary as JSON");
  }
};

}  // namespace

int cmd_r1(Args args) {
  R1Options o;
  if (!parse_options(o, args,
                     {.verb = "r1",
                      .about = "the whole R1 recipe: pure RL, cold start, RL, rejection sampling, RL for all, students",
                      .example = "hadal r1 --recipe configs/recipes/r1-tiny.json --out runs/r1"}))
    return 0;
  HADAL_CHECK(o.changes.scale > 0, "scale: got ", o.changes.scale, ", want more than 0");
  const Recipe recipe = load_recipe(o.recipe, o.changes);
  const bool finished =
      run_recipe(recipe, {.out = o.out, .seed = o.seed, .threads = o.threads, .until = o.until, .program = {}});
  const JsonObject summary = recipe_summary(recipe, o.out, o.seed);
  const std::string report = write_recipe_report(recipe, o.out, summary).string();
  if (!finished) log_info("stopped; the same command goes on from here");
  if (o.json)
    fmt::print("{}\n", json_line(summary));
  else
    fmt::print("{}\n{}report: {}\n", summary_text(summary), answers_text(side_by_side(summary, o.out), 3), report);
  return finished ? 0 : 1;
}

}  // namespace hadal
