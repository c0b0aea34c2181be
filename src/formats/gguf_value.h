#pragma once
// The values of GGUF metadata.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace hadal {

/// An array of metadata. The alternative is the element's type by its GGUF number, as in GgufValue.
struct GgufArray {
  std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>, std::vector<float>,
               std::vector<bool>, std::vector<std::string>, std::vector<GgufArray>, std::vector<std::uint64_t>,
               std::vector<std::int64_t>, std::vector<double>>
      values;
  std::size_t size() const;
};

/// A value of metadata. index() is its GGUF type: 0 uint8, 1 int8, ... 8 string, 9 array, ... 12 float64.
using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                               float, bool, std::string, GgufArray, std::uint64_t, std::int64_t, double>;
using GgufMetadata = std::map<std::string, GgufValue, std::less<>>;

/// "uint32", "string", ... "array" of a type's number below 13.
std::string_view gguf_type_name(std::size_t type);
/// "uint32", "array of 3 float32" ...
std::string gguf_type_name(const GgufValue& value);

/// `value` as bool, int, int64_t, double, std::string, or a vector of them; nothing when it is of another kind or does
/// not fit. Integers of every width are read as integers, and as double too.
template <class T>
std::optional<T> gguf_as(const GgufValue& value);

}  // namespace hadal
