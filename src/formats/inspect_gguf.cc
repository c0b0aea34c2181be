#include "formats/inspect_gguf.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <type_traits>

#include "base/utf8.h"

namespace hadal {
namespace {

constexpr std::size_t kShownElements = 8;

/// Values of files are not always UTF-8, JSON is.
Json json_of(const std::string& text) {
  return Json(replace_ill_formed(text));
}
Json json_of(bool value) {
  return Json(value);
}
Json json_of(double value) {
  return Json(value);
}
/// Of the double that a reader of the float would write down: 1e-6, not 9.99999997e-7.
Json json_of(float value) {
  return std::isfinite(value) ? Json(std::stod(str_cat(value))) : Json(nullptr);
}
Json json_of(const GgufArray& array);
template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
Json json_of(T value) {
  return Json(value);
}

Json json_of(const GgufArray& array) {
  JsonArray first;
  std::visit(
      [&](const auto& elements) {
        using Element = typename std::remove_cvref_t<decltype(elements)>::value_type;
        for (std::size_t i = 0; i < std::min(elements.size(), kShownElements); ++i)
          first.push_back(json_of(static_cast<const Element&>(elements[i])));
      },
      array.values);
  if (array.size() <= kShownElements) return first;
  return JsonObject{{"type", gguf_type_name(GgufValue(array))}, {"first", std::move(first)}};
}

}  // namespace

JsonObject inspect_gguf(const GgufFile& file) {
  struct Sum {
    std::int64_t num_tensors = 0, num_values = 0, bytes = 0;
    void add(const GgufTensor& t) { ++num_tensors, num_values += t.count(), bytes += t.bytes(); }
    void put_into(JsonObject& o) const {
      o["num_tensors"] = num_tensors, o["num_values"] = num_values, o["bytes"] = bytes;
    }
  };
  JsonObject metadata, dtypes;
  for (const auto& [key, value] : file.metadata())
    metadata[replace_ill_formed(key)] = std::visit([](const auto& v) { return json_of(v); }, value);
  Sum all;
  std::map<std::string_view, Sum> by_type;
  JsonArray list;
  for (const GgufTensor& tensor : file.tensors()) {
    const std::string_view type = ggml_type_info(tensor.type).name;
    all.add(tensor);
    by_type[type].add(tensor);
    const std::vector<index_t> shape = tensor.shape();
    list.push_back(JsonObject{{"name", replace_ill_formed(tensor.name)},
                              {"dtype", std::string(type)},
                              {"shape", JsonArray(shape.begin(), shape.end())},
                              {"bytes", tensor.bytes()}});
  }
  for (const auto& [type, sum] : by_type) {
    JsonObject entry;
    sum.put_into(entry);
    dtypes[std::string(type)] = std::move(entry);
  }
  JsonObject result{
      {"kind", "gguf"}, {"version", file.version()}, {"files", file.num_files()}, {"metadata", std::move(metadata)}};
  all.put_into(result);
  result["dtypes"] = std::move(dtypes);
  result["tensors"] = std::move(list);
  return result;
}

}  // namespace hadal
