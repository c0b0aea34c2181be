#pragma once
// The head of one GGUF file. GgufFile puts the files of a model together.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "formats/gguf.h"

namespace hadal {

struct GgufPiece {
  int version = 0;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // their data points into the bytes
};

/// Reads one file. `where` names it in messages.
GgufPiece parse_gguf(std::span<const std::byte> bytes, const std::string& where);

}  // namespace hadal
