#include "formats/gguf_value.h"

#include <array>
#include <limits>
#include <type_traits>

#include "base/error.h"

namespace hadal {
namespace {

constexpr std::array<std::string_view, 13> kTypeNames = {"uint8",  "int8",    "uint16", "int16",  "uint32",
                                                         "int32",  "float32", "bool",   "string", "array",
                                                         "uint64", "int64",   "float64"};

/// `value` as an integer, when it is one and fits.
std::optional<std::int64_t> try_integer(const auto& value) {
  using T = std::remove_cvref_t<decltype(value)>;
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(value);
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    return std::int64_t{value};
  } else {
    return std::nullopt;
  }
}

/// `value`, an alternative of GgufValue or an element of an array, as T; nothing when it is of another kind.
template <class T, class V>
std::optional<T> convert(const V& value) {
  if constexpr (std::is_same_v<V, T>) {
    return value;
  } else if constexpr (std::is_same_v<T, int>) {
    const std::optional<std::int64_t> v = try_integer(value);
    if (!v || *v < std::numeric_limits<int>::min() || *v > std::numeric_limits<int>::max()) return std::nullopt;
    return static_cast<int>(*v);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return try_integer(value);
  } else if constexpr (std::is_same_v<T, double> && std::is_arithmetic_v<V> && !std::is_same_v<V, bool>) {
    return static_cast<double>(value);
  } else {
    return std::nullopt;
  }
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
std::optional<std::vector<T>> convert_array(const GgufValue& value) {
  const GgufArray* array = std::get_if<GgufArray>(&value);
  if (array == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& elements) -> std::optional<std::vector<T>> {
        using Element = typename std::remove_cvref_t<decltype(elements)>::value_type;
        std::vector<T> result;
        result.reserve(elements.size());
        for (const auto& element : elements) {
          std::optional<T> converted = convert<T, Element>(element);
          if (!converted) return std::nullopt;
          result.push_back(*std::move(converted));
        }
        return result;
      },
      array->values);
}

}  // namespace

std::size_t GgufArray::size() const {
  return std::visit([](const auto& v) { return v.size(); }, values);
}

std::string_view gguf_type_name(std::size_t type) {
  return kTypeNames.at(type);
}

std::string gguf_type_name(const GgufValue& value) {
  if (const GgufArray* array = std::get_if<GgufArray>(&value))
    return str_cat("array of ", array->size(), " ", kTypeNames[array->values.index()]);
  return std::string(kTypeNames[value.index()]);
}

template <class T>
std::optional<T> gguf_as(const GgufValue& value) {
  if constexpr (IsVector<T>::value) {
    return convert_array<typename T::value_type>(value);
  } else {
    return std::visit([](const auto& v) { return convert<T, std::remove_cvref_t<decltype(v)>>(v); }, value);
  }
}

template std::optional<bool> gguf_as(const GgufValue&);
template std::optional<int> gguf_as(const GgufValue&);
template std::optional<std::int64_t> gguf_as(const GgufValue&);
template std::optional<double> gguf_as(const GgufValue&);
template std::optional<std::string> gguf_as(const GgufValue&);
template std::optional<std::vector<bool>> gguf_as(const GgufValue&);
template std::optional<std::vector<int>> gguf_as(const GgufValue&);
template std::optional<std::vector<std::int64_t>> gguf_as(const GgufValue&);
template std::optional<std::vector<double>> gguf_as(const GgufValue&);
template std::optional<std::vector<std::string>> gguf_as(const GgufValue&);

}  // namespace hadal
