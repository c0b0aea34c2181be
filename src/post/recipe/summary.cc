#include "post/recipe/summary.h"

#include <fmt/format.h>

#include "base/file.h"
#include "post/answer_figures.h"
#include "post/recipe/run_recipe.h"
#include "train/metrics.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// Accuracies of greedy answers to held-out questions, by class, before a stage of reinforcement learning and after it:
/// {"class": [before, after]}; empty when it was not given held-out questions.
JsonObject greedy_gain(const fs::path& run) {
  JsonObject gain;
  const std::vector<JsonObject> lines = read_json_log(run / "eval.jsonl");
  if (lines.size() < 2) return gain;
  for (const auto& [key, before] : lines.front()) {
    constexpr std::string_view kPrefix = "accuracy_";
    const Json* const after = lines.back().if_contains(key);
    if (std::string_view(key).starts_with(kPrefix) && after != nullptr)
      gain[std::string_view(key).substr(kPrefix.size())] = JsonArray{before, *after};
  }
  return gain;
}

/// Classes of tasks, and "all".
JsonObject evaluation_figures(const fs::path& candidates) {
  const std::vector<JsonObject> lines = read_json_log(candidates);
  HADAL_CHECK(!lines.empty(), candidates.string(), ": no answers");
  AnswerFigures figures = answer_figures(lines);
  figures.classes["all"] = std::move(figures.all);
  return std::move(figures.classes);
}

double number_or(const JsonObject& object, const std::string& key, double fallback) {
  const Json* const value = object.if_contains(key);
  return value == nullptr ? fallback : json_as<double>(*value, key);
}

}  // namespace

JsonObject recipe_summary(const Recipe& recipe, const fs::path& out, std::int64_t seed) {
  JsonArray stages, evaluations;
  double seconds = 0, cpu_seconds = 0;
  for (const Stage& stage : recipe.stages) {
    const std::optional<StageResult> done = stage_result(out, stage.name);
    if (!done) continue;
    seconds += done->seconds, cpu_seconds += done->cpu_seconds;
    JsonObject told{{"name", stage.name},   {"verb", stage.verb},       {"title", stage.title},
                    {"about", stage.about}, {"seconds", done->seconds}, {"cpu_seconds", done->cpu_seconds}};
    if (stage.verb == "grpo") told["greedy"] = greedy_gain(out / stage.name);
    stages.push_back(std::move(told));
    if (stage.evaluates.empty()) continue;
    const std::string& title = recipe.stage(stage.evaluates).title;
    evaluations.push_back(JsonObject{{"stage", stage.evaluates},
                                     {"title", title.empty() ? stage.evaluates : title},
                                     {"figures", evaluation_figures(out / stage.name / "candidates.jsonl")}});
  }
  JsonObject summary{{"about", recipe.about},      {"seed", seed},     {"seconds", seconds},
                     {"cpu_seconds", cpu_seconds}, {"stages", stages}, {"evaluations", evaluations}};
  write_file_atomically(out / "summary.json", json_pretty(summary));
  return summary;
}

std::string summary_text(const JsonObject& summary) {
  const JsonArray& evaluations = summary.at("evaluations").as_array();
  if (evaluations.empty()) return "nothing is evaluated yet\n";
  std::vector<std::string> classes;
  for (const auto& [name, figures] : evaluations[0].at("figures").as_object())
    if (name != "all") classes.emplace_back(name);
  std::string text = fmt::format("{:<22}", "accuracy, % (95%)");
  for (const std::string& name : classes) text += fmt::format("{:>18}", name);
  text += fmt::format("{:>10}{:>10}{:>8}\n", "format", "language", "tokens");
  for (const Json& evaluation : evaluations) {
    const JsonObject& figures = evaluation.at("figures").as_object();
    text += fmt::format("{:<22}", std::string_view(evaluation.at("title").get_string()));
    for (const std::string& name : classes) {
      const JsonObject& f = figures.at(name).as_object();
      text += f.contains("reward_model")
                  ? fmt::format("{:>18}", fmt::format("score {:.2f}", number_or(f, "reward_model", 0)))
                  : fmt::format("{:>18}", fmt::format("{:.1f} ({:.0f}-{:.0f})", 100 * number_or(f, "accuracy", 0),
                                                      100 * number_or(f, "low", 0), 100 * number_or(f, "high", 0)));
    }
    const JsonObject& all = figures.at("all").as_object();
    text += fmt::format("{:>10.1f}{:>10.1f}{:>8.1f}\n", 100 * number_or(all, "format", 0),
                        100 * number_or(all, "language", 0), number_or(all, "mean_tokens", 0));
  }
  for (const Json& stage : summary.at("stages").as_array()) {
    const Json* const greedy = stage.get_object().if_contains("greedy");
    if (greedy == nullptr || greedy->as_object().empty()) continue;
    text += fmt::format("greedy, by {}: ", std::string_view(stage.at("name").get_string()));
    for (const auto& [name, gain] : greedy->as_object())
      text += fmt::format("  {} {:.1f} -> {:.1f}", std::string_view(name), 100 * json_as<double>(gain.at(0), "greedy"),
                          100 * json_as<double>(gain.at(1), "greedy"));
    text += '\n';
  }
  return text;
}

}  // namespace hadal
