#pragma once
// What all evaluated models of a recipe answered to the same questions.
#include <filesystem>
#include <string>

#include "base/json.h"

namespace hadal {

/// A few questions of each class: [{"question", "answers": [{"model", "reasoning", "answer", "correct"}]}], models in
/// the order of the summary's evaluations.
JsonArray side_by_side(const JsonObject& summary, const std::filesystem::path& out);

/// The first `count` of them with the answers of the first and the last model, for people.
std::string answers_text(const JsonArray& questions, std::size_t count);

}  // namespace hadal
