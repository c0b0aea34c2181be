#pragma once
// The filters, tests, methods and functions that a template finds: those of Jinja 3 and of Python's str, dict and list
// that chat templates use, and those that Hugging Face adds (tojson, raise_exception, strftime_now).
#include <ctime>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "data/chat_template/heap.h"

namespace hadal::jinja {

/// What built-in functions work with.
struct Runtime {
  Heap& heap;
  std::tm now{};  // for strftime_now
};

struct CallArgs {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> keywords;
};

/// Arguments by the names of parameters.
class BoundArgs {
 public:
  /// Throws Error when there are more arguments than names, a name is unknown or given twice.
  BoundArgs(std::string_view callee, const CallArgs& args, std::initializer_list<std::string_view> names);

  bool has(std::size_t i) const { return given_[i]; }
  const Value& operator[](std::size_t i) const { return values_[i]; }
  /// The argument as the type asked for; the fallback when it was not given or is none. Throws Error for other types.
  std::string string(std::size_t i, std::string_view fallback = "") const;
  std::int64_t integer(std::size_t i, std::int64_t fallback) const;
  bool boolean(std::size_t i, bool fallback) const { return given_[i] ? truth(values_[i]) : fallback; }
  /// Throws Error when argument i was not given.
  const Value& want(std::size_t i) const;

 private:
  std::string callee_;
  std::vector<std::string_view> names_;
  std::vector<Value> values_;
  std::vector<bool> given_;
};

/// value | name(args). Throws Error when there is no such filter or it does not fit the value.
Value apply_filter(Runtime& rt, std::string_view name, const Value& value, const CallArgs& args);
/// value is name(args).
bool apply_test(Runtime& rt, std::string_view name, const Value& value, const CallArgs& args);

/// Whether the value's type has a method of that name.
bool has_method(const Value& value, std::string_view name);
Value call_method(Runtime& rt, const Value& self, std::string_view name, const CallArgs& args);

/// Whether there is a function of that name that templates may call.
bool is_global_function(std::string_view name);
Value call_global(Runtime& rt, std::string_view name, const CallArgs& args);

/// A function value; lives as long as the rendering.
struct Scope;
struct Stmt;
struct Function {
  enum class What : std::uint8_t { kMethod, kGlobal, kMacro, kCycle, kChanged };
  What what = What::kGlobal;
  std::string_view name;        // of a method or a global function
  Value self;                   // of a method; `loop` of kCycle and kChanged
  const Stmt* macro = nullptr;  // of kMacro
  Scope* scope = nullptr;       // where the macro was defined
};

/// value[key], undefined where Python has no such item. Throws Error for values that have no items.
Value get_item(Runtime& rt, const Value& value, const Value& key);
/// An attribute by a path with dots, as attribute= of filters takes it: names and numbers.
Value get_path(Runtime& rt, const Value& value, const Value& path);
/// The items that a loop over the value sees. Throws Error when it cannot be looped over.
std::vector<Value> items_of(Runtime& rt, const Value& value);
/// needle in haystack.
bool contains(Runtime& rt, const Value& haystack, const Value& needle);

}  // namespace hadal::jinja
