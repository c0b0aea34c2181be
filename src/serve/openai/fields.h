#pragma once
// Typed reading of the fields of a request.
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace hadal {

/// Reads one object of a request; null counts as absent. A known field of another type or out of its range throws
/// ApiError 400 that names it. The object must outlive this.
class Fields {
 public:
  /// `path` stands before the names in messages: "messages[2]". Throws ApiError when `value` is no object.
  explicit Fields(const Json& value, std::string path = "");

  const Json* find(std::string_view name);
  const Json& require(std::string_view name);
  std::optional<double> number(std::string_view name, double low, double high);
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t low, std::int64_t high);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string> string(std::string_view name);
  const JsonObject* object(std::string_view name);
  const JsonArray* array(std::string_view name);
  /// Knows a field that has no effect here.
  void accept(std::initializer_list<std::string_view> names);
  /// What nobody asked for.
  std::vector<std::string> unknown() const;
  std::string at(std::string_view name) const;
  [[noreturn]] void reject(std::string_view name, std::string_view wanted) const;

 private:
  const JsonObject* object_ = nullptr;
  std::string path_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace hadal
