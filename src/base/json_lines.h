#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"

namespace hadal {

/// Calls use(value, "file:line") for every line of a file that is not blank. Throws Error when the file cannot be read
/// or a line is no JSON.
void for_each_json_line(const std::filesystem::path& path,
                        const std::function<void(const Json& value, const std::string& where)>& use);

}  // namespace hadal
