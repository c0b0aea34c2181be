#pragma once
// What a recipe came to: figures of every evaluation with their uncertainty, and what each stage cost.
#include <filesystem>
#include <string>

#include "post/recipe/recipe.h"

namespace hadal {

/// The 95% interval of a share that was seen `hits` times in `trials` (Wilson); {0, 1} without trials.
std::pair<double, double> wilson_interval(double hits, double trials);

/// Figures of the answers in the candidates.jsonl of `sample`, by class and for "all": questions, answers, accuracy
/// with its interval "low" to "high" (as many trials as questions: answers to one question are no independent ones),
/// means of the parts of the reward, tokens, reflective_words, truncated.
JsonObject answer_figures(const std::filesystem::path& candidates);

/// {"about", "seed", "seconds", "cpu_seconds", "stages": [{"name", "verb", "title", "seconds", "cpu_seconds", "greedy":
/// {"class": [before, after]}}], "evaluations": [{"stage", "title", "figures": answer_figures}]} of the stages that are
/// done; "greedy": accuracy of greedy answers to held-out questions around a stage of reinforcement learning. Written
/// to OUT/summary.json, too.
JsonObject recipe_summary(const Recipe& recipe, const std::filesystem::path& out, std::int64_t seed);

/// The evaluations as a table for people.
std::string summary_text(const JsonObject& summary);

/// Writes OUT/report.html: the table, curves of the stages of reinforcement learning, answers side by side.
std::filesystem::path write_recipe_report(const Recipe& recipe, const std::filesystem::path& out,
                                          const JsonObject& summary);

}  // namespace hadal
