#pragma once
#include <memory>
#include <string_view>

#include "data/chat_template/ast.h"

namespace hadal::jinja {

/// Parses a template in the language of Jinja 3 as Hugging Face's environment sets it up, with break, continue and
/// generation blocks; without inheritance, imports, call blocks and recursive loops. Throws Error: where:line and what
/// is wrong. Untrusted input: size and nesting are limited.
std::unique_ptr<const Ast> parse_template(std::string_view source, std::string_view where);

}  // namespace hadal::jinja
