#pragma once
#include <map>

#include "data/chat_template/builtins.h"

namespace hadal::jinja {

using Filter = Value (*)(Runtime&, const Value&, const CallArgs&);
using FilterTable = std::map<std::string_view, Filter>;

/// Filters over the items of a value.
const FilterTable& list_filters();

}  // namespace hadal::jinja
