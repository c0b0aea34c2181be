#include "serve/openai/fields.h"

#include <cmath>

#include "serve/openai/api_error.h"

namespace hadal {

Fields::Fields(const Json& value, std::string path) : object_(value.if_object()), path_(std::move(path)) {
  if (object_ == nullptr)
    throw bad_field(path_,
                    str_cat(path_.empty() ? "the body" : path_, ": got ", json_excerpt(value), ", want an object"));
}

std::string Fields::at(std::string_view name) const {
  return path_.empty() ? std::string(name) : str_cat(path_, ".", name);
}

void Fields::reject(std::string_view name, std::string_view wanted) const {
  throw bad_field(at(name), str_cat(at(name), ": got ", json_excerpt(object_->at(name)), ", want ", wanted));
}

const Json* Fields::find(std::string_view name) {
  known_.emplace(name);
  const Json* value = object_->if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const Json& Fields::require(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) throw bad_field(at(name), str_cat(at(name), " is missing"));
  return *value;
}

std::optional<double> Fields::number(std::string_view name, double low, double high) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) reject(name, "a number");
  const auto number = value->to_number<double>();
  if (!(number >= low && number <= high)) reject(name, str_cat("a number from ", low, " to ", high));
  return number;
}

std::optional<std::int64_t> Fields::integer(std::string_view name, std::int64_t low, std::int64_t high) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const std::string wanted = str_cat("an integer from ", low, " to ", high);
  if (!value->is_number()) reject(name, wanted);
  boost::json::error_code inexact;
  const auto number = value->to_number<std::int64_t>(inexact);
  if (inexact || number < low || number > high) reject(name, wanted);
  return number;
}

std::optional<bool> Fields::boolean(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) reject(name, "true or false");
  return value->get_bool();
}

std::optional<std::string> Fields::string(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) reject(name, "a string");
  return std::string(value->get_string());
}

const JsonObject* Fields::object(std::string_view name) {
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) reject(name, "an object");
  return value == nullptr ? nullptr : &value->get_object();
}

const JsonArray* Fields::array(std::string_view name) {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) reject(name, "an array");
  return value == nullptr ? nullptr : &value->get_array();
}

void Fields::accept(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) known_.emplace(name);
}

std::vector<std::string> Fields::unknown() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : *object_)
    if (!known_.contains(std::string_view(name))) names.emplace_back(name);
  return names;
}

}  // namespace hadal
