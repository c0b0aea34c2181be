#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/file.h"

namespace hadal {
namespace {

using boost::json::error_code;
using ParserText = boost::json::string_view;

/// Builds a value from what the parser meets. Two things differ from Boost's own: a second equal key of an object is an
/// error, and doubles are read again with from_chars, since the parser's arithmetic can be one step off.
class Builder {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

  bool on_document_begin(error_code&) {
    stack_.reset();
    return true;
  }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    first_key_.push_back(keys_.size());
    return true;
  }
  bool on_object_end(std::size_t n, error_code& ec) {
    const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(first_key_.back());
    std::sort(first, keys_.end());
    if (const auto twice = std::adjacent_find(first, keys_.end()); twice != keys_.end()) {
      duplicate_ = *twice;
      ec = boost::json::error::syntax;
      return false;
    }
    keys_.erase(first, keys_.end());
    first_key_.pop_back();
    stack_.push_object(n);
    return true;
  }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t n, error_code&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(ParserText s, std::size_t, error_code&) {
    key_.append(s.data(), s.size());
    stack_.push_chars(s);
    return true;
  }
  bool on_key(ParserText s, std::size_t, error_code&) {
    key_.append(s.data(), s.size());
    keys_.push_back(std::move(key_));
    key_.clear();
    stack_.push_key(s);
    return true;
  }
  bool on_string_part(ParserText s, std::size_t, error_code&) {
    stack_.push_chars(s);
    return true;
  }
  bool on_string(ParserText s, std::size_t, error_code&) {
    stack_.push_string(s);
    return true;
  }
  bool on_number_part(ParserText s, error_code&) {
    number_.append(s.data(), s.size());
    return true;
  }
  bool on_int64(std::int64_t v, ParserText, error_code&) {
    number_.clear();
    stack_.push_int64(v);
    return true;
  }
  bool on_uint64(std::uint64_t v, ParserText, error_code&) {
    number_.clear();
    stack_.push_uint64(v);
    return true;
  }
  bool on_double(double rough, ParserText s, error_code& ec) {
    number_.append(s.data(), s.size());
    double v = 0;
    const std::errc error = std::from_chars(number_.data(), number_.data() + number_.size(), v).ec;
    const bool out_of_range = error == std::errc::result_out_of_range;
    number_.clear();
    if (out_of_range && std::abs(rough) > 1) {
      ec = boost::json::error::exponent_overflow;
      return false;
    }
    if (out_of_range) v = 0;  // closer to zero than any double
    stack_.push_double(v);
    return true;
  }
  bool on_bool(bool v, error_code&) {
    stack_.push_bool(v);
    return true;
  }
  bool on_null(error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(ParserText, error_code&) { return true; }
  bool on_comment(ParserText, error_code&) { return true; }

  const std::optional<std::string>& duplicate() const { return duplicate_; }
  Json release() { return stack_.release(); }

 private:
  boost::json::value_stack stack_;
  std::string key_, number_;
  std::vector<std::string> keys_;       // of all open objects, outermost first
  std::vector<std::size_t> first_key_;  // of each open object, in keys_
  std::optional<std::string> duplicate_;
};

std::string position(std::string_view text, std::size_t offset, std::string_view where) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return str_cat(where, ":", 1 + std::count(before.begin(), before.end(), '\n'), ":", 1 + before.size() - line_start);
}

Json parse(std::string_view text, std::string_view where, const JsonLimits& limits) {
  HADAL_CHECK(static_cast<std::int64_t>(text.size()) <= limits.max_bytes, where, ": got ", text.size(),
              " bytes of JSON, want at most ", limits.max_bytes);
  boost::json::parse_options options;
  options.max_depth = static_cast<std::size_t>(limits.max_depth);
  boost::json::basic_parser<Builder> parser(options);
  error_code ec;
  std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (const auto& key = parser.handler().duplicate())
    fail(position(text, used, where), ": the object that ends here has the key \"", *key, "\" twice");
  if (!ec && used < text.size()) {
    used += text.substr(used).find_first_not_of(" \t\r\n") == std::string_view::npos ? text.size() - used : 0;
    HADAL_CHECK(used == text.size(), position(text, used, where), ": text after the end of the JSON value");
  }
  if (ec == boost::json::error::too_deep) fail(position(text, used, where), ": nested deeper than ", limits.max_depth);
  if (ec == boost::json::error::incomplete) fail(position(text, text.size(), where), ": JSON ends too early");
  if (ec) fail(position(text, used, where), ": bad JSON: ", ec.message());
  return parser.handler().release();
}

std::string kind_of(const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::array:
      return "an array";
    case boost::json::kind::object:
      return "an object";
    default:
      return json_excerpt(value);
  }
}

[[noreturn]] void wrong_kind(const Json& value, std::string_view at, std::string_view wanted) {
  fail(at, ": got ", kind_of(value), ", want ", wanted);
}

std::optional<std::int64_t> integer(const Json& value) {
  if (value.is_int64()) return value.get_int64();
  if (!value.is_double()) return std::nullopt;  // an unsigned one is beyond the range of int64
  const double v = value.get_double();
  constexpr double kExact = 0x1p53;
  if (!(std::abs(v) <= kExact) || v != std::floor(v)) return std::nullopt;
  return static_cast<std::int64_t>(v);
}

template <class T>
std::vector<T> json_as_vector(const Json& value, std::string_view at) {
  if (!value.is_array()) wrong_kind(value, at, "an array");
  std::vector<T> result;
  for (const Json& item : value.get_array()) result.push_back(json_as<T>(item, str_cat(at, "[", result.size(), "]")));
  return result;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits) {
  return parse(text, where, limits);
}

Result<Json> try_parse_json(std::string_view text, std::string_view where, const JsonLimits& limits) {
  try {
    return parse(text, where, limits);
  } catch (const Error& e) {
    return Failure{e.what()};
  }
}

Json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse(read_file(path, limits.max_bytes), path.string(), limits);
}

template <>
bool json_as<bool>(const Json& value, std::string_view at) {
  if (!value.is_bool()) wrong_kind(value, at, "true or false");
  return value.get_bool();
}
template <>
std::int64_t json_as<std::int64_t>(const Json& value, std::string_view at) {
  const std::optional<std::int64_t> v = integer(value);
  if (!v) wrong_kind(value, at, "an integer");
  return *v;
}
template <>
int json_as<int>(const Json& value, std::string_view at) {
  const auto v = json_as<std::int64_t>(value, at);
  if (v < std::numeric_limits<int>::min() || v > std::numeric_limits<int>::max())
    wrong_kind(value, at, "an integer of 32 bits");
  return static_cast<int>(v);
}
template <>
double json_as<double>(const Json& value, std::string_view at) {
  if (!value.is_number()) wrong_kind(value, at, "a number");
  return value.to_number<double>();
}
template <>
std::string json_as<std::string>(const Json& value, std::string_view at) {
  if (!value.is_string()) wrong_kind(value, at, "a string");
  return {value.get_string().data(), value.get_string().size()};
}
template <>
std::vector<int> json_as<std::vector<int>>(const Json& value, std::string_view at) {
  return json_as_vector<int>(value, at);
}
template <>
std::vector<double> json_as<std::vector<double>>(const Json& value, std::string_view at) {
  return json_as_vector<double>(value, at);
}
template <>
std::vector<std::string> json_as<std::vector<std::string>>(const Json& value, std::string_view at) {
  return json_as_vector<std::string>(value, at);
}

ObjectReader::ObjectReader(const Json& value, std::string_view where, std::string_view path)
    : object_(value.if_object()), where_(where), path_(path) {
  if (object_ == nullptr) wrong_kind(value, path.empty() ? where_ : str_cat(where, ": ", path), "an object");
}

bool ObjectReader::has(std::string_view key) const {
  const Json* v = object_->if_contains({key.data(), key.size()});
  return v != nullptr && !v->is_null();
}

const Json* ObjectReader::find_value(std::string_view key) {
  asked_.emplace(key);
  const Json* v = object_->if_contains({key.data(), key.size()});
  return v == nullptr || v->is_null() ? nullptr : v;
}

const Json& ObjectReader::value(std::string_view key) {
  const Json* v = find_value(key);
  HADAL_CHECK(v != nullptr, at(key), ": missing");
  return *v;
}

std::int64_t ObjectReader::get_integer(std::string_view key, std::int64_t low, std::int64_t high) {
  const auto v = get<std::int64_t>(key);
  if (v < low || v > high) reject(key, str_cat("an integer in [", low, ", ", high, "]"));
  return v;
}

ObjectReader ObjectReader::object(std::string_view key) {
  return {value(key), where_, path_.empty() ? std::string(key) : str_cat(path_, ".", key)};
}

std::string ObjectReader::at(std::string_view key) const {
  return path_.empty() ? str_cat(where_, ": ", key) : str_cat(where_, ": ", path_, ".", key);
}

void ObjectReader::reject(std::string_view key, std::string_view wanted) const {
  const Json* v = object_->if_contains({key.data(), key.size()});
  fail(at(key), ": got ", v == nullptr ? "nothing" : json_excerpt(*v), ", want ", wanted);
}

void ObjectReader::finish() const {
  std::string unknown;
  for (const auto& [key, value] : *object_)
    if (!value.is_null() && !asked_.contains(std::string_view(key.data(), key.size())))
      unknown += str_cat(unknown.empty() ? "" : ", ", json_excerpt(Json(key)));
  HADAL_CHECK(unknown.empty(), path_.empty() ? where_ : str_cat(where_, ": ", path_), ": unknown keys: ", unknown);
}

}  // namespace hadal
