#pragma once
// Courtesies: tasks without a rule, for reward models. "Greet Anna from Paris."
#include <string>
#include <string_view>
#include <vector>

#include "data/tasks/generate.h"

namespace hadal {

/// answer: a warm one; the solution's answer is the warm one or a curt one, by chance; random_answer: a courtesy of the
/// wrong kind, to somebody else, or in the other language.
GeneratedTask talk_task(std::string_view language, TaskDraws& draws);

/// Worse answers to the task that the same draws make: curt, to somebody else, in the other language, said twice.
std::vector<std::string> worse_talk(std::string_view language, TaskDraws draws);

}  // namespace hadal
