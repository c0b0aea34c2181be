#pragma once
// Tensors that must come back bit for bit: one safetensors file, names and shapes checked.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "formats/safetensors.h"

namespace hadal {

using NamedViews = std::vector<std::pair<std::string, View>>;

void write_views(const std::filesystem::path& file, const NamedViews& views);
/// Fills every view. Throws Error when the file lacks one, has another shape or dtype, or holds more.
void read_views(const std::filesystem::path& file, const NamedViews& views);

}  // namespace hadal
