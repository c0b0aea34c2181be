#pragma once
#include <filesystem>

#include "base/json.h"
#include "base/parallel.h"

namespace hadal {

/// Calls use(value, number) for each record of a file: the lines of JSON lines, without blank ones (number: the line,
/// from 1), or the elements of a .json file that holds one array (number: the element, from 1). A line that is no JSON
/// comes as a failure. Throws Error when the file cannot be read or a .json file is no array.
void read_records(const std::filesystem::path& path, FunctionRef<void(Result<Json>&, index_t number)> use);

}  // namespace hadal
