#include "formats/ggml_type.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"

namespace hadal {
namespace {

using T = GgmlType;

// K and IQ types share scales among 256 values, the older ones among 32.
constexpr std::array<GgmlTypeInfo, 30> kTypes = {{
    {T::kF32, "F32", 1, 4},
    {T::kF16, "F16", 1, 2},
    {T::kQ4_0, "Q4_0", 32, 18},
    {T::kQ4_1, "Q4_1", 32, 20},
    {T::kQ5_0, "Q5_0", 32, 22},
    {T::kQ5_1, "Q5_1", 32, 24},
    {T::kQ8_0, "Q8_0", 32, 34},
    {T::kQ2_K, "Q2_K", 256, 84},
    {T::kQ3_K, "Q3_K", 256, 110},
    {T::kQ4_K, "Q4_K", 256, 144},
    {T::kQ5_K, "Q5_K", 256, 176},
    {T::kQ6_K, "Q6_K", 256, 210},
    {T::kIQ2_XXS, "IQ2_XXS", 256, 66},
    {T::kIQ2_XS, "IQ2_XS", 256, 74},
    {T::kIQ3_XXS, "IQ3_XXS", 256, 98},
    {T::kIQ1_S, "IQ1_S", 256, 50},
    {T::kIQ4_NL, "IQ4_NL", 32, 18},
    {T::kIQ3_S, "IQ3_S", 256, 110},
    {T::kIQ2_S, "IQ2_S", 256, 82},
    {T::kIQ4_XS, "IQ4_XS", 256, 136},
    {T::kI8, "I8", 1, 1},
    {T::kI16, "I16", 1, 2},
    {T::kI32, "I32", 1, 4},
    {T::kI64, "I64", 1, 8},
    {T::kF64, "F64", 1, 8},
    {T::kIQ1_M, "IQ1_M", 256, 56},
    {T::kBF16, "BF16", 1, 2},
    {T::kTQ1_0, "TQ1_0", 256, 54},
    {T::kTQ2_0, "TQ2_0", 256, 66},
    {T::kMXFP4, "MXFP4", 32, 17},
}};

}  // namespace

const GgmlTypeInfo* find_ggml_type(std::uint32_t number) {
  for (const GgmlTypeInfo& info : kTypes)
    if (static_cast<std::uint32_t>(info.type) == number) return &info;
  return nullptr;
}

const GgmlTypeInfo& ggml_type_info(GgmlType type) {
  const GgmlTypeInfo* info = find_ggml_type(static_cast<std::uint32_t>(type));
  HADAL_CHECK(info != nullptr, "ggml type ", static_cast<std::uint32_t>(type), " is not known");
  return *info;
}

GgmlType parse_ggml_type(std::string_view name) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  std::string known;
  for (const GgmlTypeInfo& info : kTypes) {
    if (std::ranges::equal(info.name, name, {}, {}, upper)) return info.type;
    known.append(known.empty() ? "" : "|").append(info.name);
  }
  fail("ggml type: got \"", name, "\", want ", known);
}

index_t ggml_bytes(GgmlType type, index_t count) {
  const GgmlTypeInfo& info = ggml_type_info(type);
  HADAL_CHECK(count >= 0 && count % info.block_values == 0, info.name, ": ", count, " values, want a multiple of ",
              info.block_values);
  return count / info.block_values * info.block_bytes;
}

}  // namespace hadal
