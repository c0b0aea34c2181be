#pragma once
// Values of the template language, with Python's meaning of truth, equality, order and printing.
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "data/chat_template/text.h"

namespace hadal::jinja {

enum class Kind : std::uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,       // lists and tuples
  kDict,       // keeps the order of its entries
  kNamespace,  // attributes that can be assigned; also the variable `loop`
  kFunction,
};

struct List;
struct Dict;
struct Function;

/// A value, 16 bytes. Strings, lists, dicts and functions live in the Heap of one rendering.
class Value {
 public:
  Value() = default;  // undefined
  static Value none() { return Value(Kind::kNone); }
  static Value undefined(const std::string* name) {
    Value v;
    v.name_ = name;
    return v;
  }
  static Value boolean(bool b) {
    Value v(Kind::kBool);
    v.int_ = b ? 1 : 0;
    return v;
  }
  static Value integer(std::int64_t i) {
    Value v(Kind::kInt);
    v.int_ = i;
    return v;
  }
  static Value floating(double d) {
    Value v(Kind::kFloat);
    v.float_ = d;
    return v;
  }
  explicit Value(const Text* text) : kind_(Kind::kString), text_(text) {}
  explicit Value(List* list) : kind_(Kind::kList), list_(list) {}
  explicit Value(Dict* dict, Kind kind = Kind::kDict) : kind_(kind), dict_(dict) {}
  explicit Value(const Function* function) : kind_(Kind::kFunction), function_(function) {}

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  /// bool counts as a number, as in Python.
  bool is_number() const { return kind_ == Kind::kBool || kind_ == Kind::kInt || kind_ == Kind::kFloat; }
  bool is_integer() const { return kind_ == Kind::kBool || kind_ == Kind::kInt; }

  // Each only for its kind.
  std::int64_t as_int() const { return int_; }
  double as_float() const { return kind_ == Kind::kFloat ? float_ : static_cast<double>(int_); }
  const Text& text() const { return *text_; }
  List& list() const { return *list_; }
  Dict& dict() const { return *dict_; }
  const Function& function() const { return *function_; }
  /// What an undefined value was looked up as; "" when nobody knows.
  std::string name() const { return name_ == nullptr ? "" : *name_; }
  /// The same object, or the same plain value ("is" of Python).
  bool same(const Value& other) const {
    return kind_ == other.kind_ && (kind_ == Kind::kNone || kind_ == Kind::kUndefined || int_ == other.int_);
  }

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Kind kind_ = Kind::kUndefined;
  union {
    const std::string* name_ = nullptr;
    std::int64_t int_;
    double float_;
    const Text* text_;
    List* list_;
    Dict* dict_;
    const Function* function_;
  };
};

struct List {
  std::vector<Value> items;
  Origin origin = kTemplateOrigin;  // of the signs between the items when it is printed
  bool tuple = false;
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  Origin origin = kTemplateOrigin;

  /// nullptr when there is no such key.
  const Value* find(std::string_view key) const;
  const Value* find(const Value& key) const;
};

/// "undefined", "none", "str", "list", ...: for messages.
std::string_view kind_name(const Value& v);

bool truth(const Value& v);
bool equal(const Value& a, const Value& b);
/// Below zero, zero, above; nothing when Python has no order for the two.
std::optional<int> compare(const Value& a, const Value& b);

/// str(v) of Python. Undefined prints as nothing.
Text to_text(const Value& v);
/// repr(v) of Python.
Text to_repr(const Value& v);
/// The shortest digits that read back equal, as Python prints them.
std::string float_repr(double d);

struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false;
  std::optional<std::string> indent;  // of one level; none: all in one line
  std::string item_separator = ", ", key_separator = ": ";
};
/// json.dumps(v). Signs between strings have the origin of the container. Throws Error for what JSON has not.
Text to_json_text(const Value& v, const JsonStyle& style = {});

}  // namespace hadal::jinja
