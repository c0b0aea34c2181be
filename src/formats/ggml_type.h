#pragma once
// The element types of GGUF tensors, by ggml's numbers and names. Values are stored in blocks along a row.
#include <cstdint>
#include <string_view>

#include "base/parallel.h"

namespace hadal {

enum class GgmlType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
};

/// How a type lies in memory: `block_values` values take `block_bytes` bytes.
struct GgmlTypeInfo {
  GgmlType type;
  std::string_view name;  // "Q4_K"
  int block_values = 1, block_bytes = 0;
};

/// Throws Error for a number that names no type of the enumeration, and says the number.
const GgmlTypeInfo& ggml_type_info(GgmlType type);
/// nullptr when the number is not known.
const GgmlTypeInfo* find_ggml_type(std::uint32_t number);
/// The type of a name as ggml_type_info has it, in capitals or not. Throws Error when there is none.
GgmlType parse_ggml_type(std::string_view name);

/// Bytes of `count` values, which is a multiple of the block.
index_t ggml_bytes(GgmlType type, index_t count);

}  // namespace hadal
