#pragma once
#include <optional>
#include <string_view>

#include "serve/http.h"

namespace hadal {

/// A file of the chat page, which is part of the program; nothing when `path` is none of them.
std::optional<HttpResponse> page_response(std::string_view path);

}  // namespace hadal
