#pragma once
// Text that a small base model is made from before it learns by reinforcement: it shows the form of questions,
// reasoning and answers, and what lists are. No answer in it is better than a guess, the reasoning says nothing and is
// in any language, and now and then the form is broken: right answers, one language and clean form are what is left to
// learn.
#include <string>
#include <vector>

#include "data/tasks/generate.h"

namespace hadal {

/// "User: QUESTION Assistant: <think> ... </think> <answer> ... </answer>"
std::string guess_document(const GeneratedTask& task, TaskDraws& draws);

/// A list of digits in several orders, one a line.
std::string list_document(TaskDraws& draws);

}  // namespace hadal
