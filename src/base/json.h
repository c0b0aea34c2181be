#pragma once
// JSON text <-> values (Boost.JSON's), and typed, checked reading of objects. Input is untrusted: size and depth are
// limited, duplicate keys and invalid UTF-8 are errors, and numbers are read to the nearest double.
#include <boost/json/value.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace hadal {

/// A JSON value. Objects keep the order of their keys.
using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

struct JsonLimits {
  std::int64_t max_bytes = std::int64_t{64} << 20;
  int max_depth = 64;  // nested arrays and objects
};

/// One JSON value and nothing after it but white space. `where` names the source in messages. Throws Error:
/// where:line:column (both from 1, columns in bytes) and the reason.
Json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {});
/// The same, when the caller has a plan B (a request body, one document of millions).
Result<Json> try_parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {});
/// Throws Error when the file cannot be read, is too large or is no JSON.
Json read_json_file(const std::filesystem::path& path, const JsonLimits& limits = {});

/// Text on many lines, two spaces per level, arrays of plain values on one line; the same value always gives the same
/// bytes. Ends with a newline. Doubles are printed with the fewest digits that read back equal and always look like
/// doubles (1.0); NaN and infinities, which JSON has not, become null.
std::string json_pretty(const Json& value);
/// One line without spaces and without a newline at its end.
std::string json_line(const Json& value);
/// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);
/// A value for a message: json_line, cut to about 60 characters.
std::string json_excerpt(const Json& value);

/// `value` as bool, int, int64_t, double, std::string, or a vector of int, double or std::string. `at` (file and path)
/// starts the message of the Error that a value of another kind or range gives. 3.0 is an integer, 3.5 is not.
template <class T>
T json_as(const Json& value, std::string_view at);

/// Reads one object and notices which keys nobody asked for. A null counts as an absent key throughout. Messages are
/// "file: path.key: got ..., want ...". The object must outlive the reader.
class ObjectReader {
 public:
  /// Throws when `value` is no object. `path`: how to reach it from the top of the file, "" for the top.
  ObjectReader(const Json& value, std::string_view where, std::string_view path = "");

  /// Present and not null. Does not count as asking.
  bool has(std::string_view key) const;
  /// The value of a key, or nullptr when absent (or null).
  const Json* find_value(std::string_view key);
  /// The value of a key. Throws when it is missing.
  const Json& value(std::string_view key);

  template <class T>
  std::optional<T> find(std::string_view key) {
    const Json* v = find_value(key);
    if (v == nullptr) return std::nullopt;
    return json_as<T>(*v, at(key));
  }
  template <class T>
  T get(std::string_view key) {
    return json_as<T>(value(key), at(key));
  }
  template <class T>
  T get_or(std::string_view key, T fallback) {
    std::optional<T> v = find<T>(key);
    return v ? *std::move(v) : std::move(fallback);
  }
  /// An integer in [low, high].
  std::int64_t get_integer(std::string_view key, std::int64_t low, std::int64_t high);
  /// A reader of the object under a key; it has a finish() of its own.
  ObjectReader object(std::string_view key);
  /// Takes a key whose value is of no interest.
  void skip(std::string_view key) { asked_.emplace(key); }

  /// "file: path.key"
  std::string at(std::string_view key) const;
  /// Throws: what the key holds, and what was wanted.
  [[noreturn]] void reject(std::string_view key, std::string_view wanted) const;
  /// Throws when the object has keys that were never asked for, and lists them.
  void finish() const;

 private:
  const JsonObject* object_;
  std::string where_, path_;
  std::set<std::string, std::less<>> asked_;
};

}  // namespace hadal
