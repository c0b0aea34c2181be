#pragma once
// What a recipe came to: figures of every evaluation with their uncertainty, and what each stage cost.
#include <filesystem>
#include <string>

#include "post/recipe/recipe.h"

namespace hadal {

/// {"about", "seed", "seconds", "cpu_seconds", "stages": [{"name", "verb", "title", "seconds", "cpu_seconds", "greedy":
/// {"class": [before, after]}}], "evaluations": [{"stage", "title", "figures": {class or "all": as in
/// post/answer_figures.h}}]} of the stages that are done; "greedy": accuracy of greedy answers to held-out questions
/// around a stage of reinforcement learning. Written to OUT/summary.json, too.
JsonObject recipe_summary(const Recipe& recipe, const std::filesystem::path& out, std::int64_t seed);

/// The evaluations as a table for people.
std::string summary_text(const JsonObject& summary);

/// Writes OUT/report.html: the table, curves of the stages of reinforcement learning, answers side by side.
std::filesystem::path write_recipe_report(const Recipe& recipe, const std::filesystem::path& out,
                                          const JsonObject& summary);

}  // namespace hadal
