#pragma once
// What is both a method and a filter.
#include "data/chat_template/builtins.h"

namespace hadal::jinja {

/// The items as text with `between` between them. only_strings: others are an Error, as for str.join.
Value join_values(Runtime& rt, const std::vector<Value>& items, const Text& between, bool only_strings);
/// replace(old, new, count) on the text of a value.
Value replace_value(Runtime& rt, const Value& self, const CallArgs& args);
/// The entries of a dict as pairs.
Value dict_items(Runtime& rt, const Value& dict);

}  // namespace hadal::jinja
