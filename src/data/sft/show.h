#pragma once
#include <span>
#include <string>

#include "data/tokenizer/tokenizer.h"

namespace hadal {

/// A sample for people: what is trained in green and the rest dim, control tokens in bold; without colour, what is
/// trained stands in [[ ]]. Bytes that are no UTF-8 are shown as U+FFFD, line breaks with a sign before them. Control
/// characters do not reach the terminal.
std::string show_mask(const Tokenizer& tokenizer, std::span<const int> ids, std::span<const char> trained, bool color);

}  // namespace hadal
