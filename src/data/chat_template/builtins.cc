#include "data/chat_template/builtins.h"

#include <algorithm>
#include <array>

#include "data/chat_template/string_ops.h"

namespace hadal::jinja {

BoundArgs::BoundArgs(std::string_view callee, const CallArgs& args, std::initializer_list<std::string_view> names)
    : callee_(callee), names_(names), values_(names.size()), given_(names.size(), false) {
  HADAL_CHECK(args.positional.size() <= names.size(), callee, ": got ", args.positional.size(),
              " arguments, want at most ", names.size());
  for (std::size_t i = 0; i < args.positional.size(); ++i) {
    values_[i] = args.positional[i];
    given_[i] = true;
  }
  for (const auto& [name, value] : args.keywords) {
    const auto at = static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
    HADAL_CHECK(at < names_.size(), callee, ": has no argument \"", name, "\"");
    HADAL_CHECK(!given_[at], callee, ": got the argument \"", name, "\" twice");
    values_[at] = value;
    given_[at] = true;
  }
}

std::string BoundArgs::string(std::size_t i, std::string_view fallback) const {
  if (!given_[i] || values_[i].is(Kind::kNone)) return std::string(fallback);
  HADAL_CHECK(values_[i].is(Kind::kString), callee_, ": argument ", names_[i], " is of type ", kind_name(values_[i]),
              ", want a string");
  return values_[i].text().bytes();
}

std::int64_t BoundArgs::integer(std::size_t i, std::int64_t fallback) const {
  if (!given_[i] || values_[i].is(Kind::kNone)) return fallback;
  HADAL_CHECK(values_[i].is_integer(), callee_, ": argument ", names_[i], " is of type ", kind_name(values_[i]),
              ", want an integer");
  return values_[i].as_int();
}

const Value& BoundArgs::want(std::size_t i) const {
  HADAL_CHECK(given_[i], callee_, ": the argument \"", names_[i], "\" is missing");
  return values_[i];
}

Value get_item(Runtime& rt, const Value& value, const Value& key) {
  switch (value.kind()) {
    case Kind::kUndefined:
      fail(value.name().empty() ? "a value" : "\"" + value.name() + "\"", " is undefined");
    case Kind::kDict:
    case Kind::kNamespace: {
      rt.heap.step(1 + static_cast<std::int64_t>(value.dict().entries.size() / 8));
      const Value* found = value.dict().find(key);
      return found == nullptr ? Value() : *found;
    }
    case Kind::kList: {
      if (!key.is_integer()) return {};
      const auto& items = value.list().items;
      const auto n = static_cast<std::int64_t>(items.size());
      const std::int64_t i = key.as_int() < 0 ? key.as_int() + n : key.as_int();
      return i < 0 || i >= n ? Value() : items[static_cast<std::size_t>(i)];
    }
    case Kind::kString: {
      if (!key.is_integer()) return {};
      const Text& text = value.text();
      rt.heap.step(1 + static_cast<std::int64_t>(text.size() / 64));
      const auto n = static_cast<std::int64_t>(count_code_points(text.view()));
      const std::int64_t i = key.as_int() < 0 ? key.as_int() + n : key.as_int();
      if (i < 0 || i >= n) return {};
      const std::size_t begin = code_point_offset(text.view(), static_cast<std::size_t>(i));
      return rt.heap.string(text.slice(begin, begin + code_point_offset(text.view().substr(begin), 1)));
    }
    default:
      return {};
  }
}

Value get_path(Runtime& rt, const Value& value, const Value& path) {
  if (!path.is(Kind::kString)) return get_item(rt, value, path);
  Value current = value;
  for (const Text& part : split(path.text(), ".", kNoLimit, false)) {
    const bool number = all_of_class(part.view(), CharacterClass::kDigit) && part.size() < 10;
    current = get_item(rt, current, number ? Value::integer(std::stoll(part.bytes())) : rt.heap.string(part));
  }
  return current;
}

std::vector<Value> items_of(Runtime& rt, const Value& value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kList:
      items = value.list().items;
      break;
    case Kind::kDict:
      for (const auto& entry : value.dict().entries) items.push_back(entry.first);
      break;
    case Kind::kString: {
      const Text& text = value.text();
      rt.heap.charge(text.size() * sizeof(Value));
      for (std::size_t p = 0; p < text.size();) {
        const std::size_t next = p + code_point_offset(text.view().substr(p), 1);
        items.push_back(rt.heap.string(text.slice(p, next)));
        p = next;
      }
      break;
    }
    default:
      fail("a value of type ", kind_name(value), " has no items to go through");
  }
  rt.heap.charge(items.size() * sizeof(Value));
  return items;
}

bool contains(Runtime& rt, const Value& haystack, const Value& needle) {
  switch (haystack.kind()) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      HADAL_CHECK(needle.is(Kind::kString), "in: a ", kind_name(needle), " cannot be in a string");
      rt.heap.step(1 + static_cast<std::int64_t>(haystack.text().size() / 64));
      return haystack.text().view().find(needle.text().view()) != std::string_view::npos;
    case Kind::kList: {
      const auto& items = haystack.list().items;
      rt.heap.step(1 + static_cast<std::int64_t>(items.size()));
      return std::any_of(items.begin(), items.end(), [&](const Value& item) { return equal(item, needle); });
    }
    case Kind::kDict:
      rt.heap.step(1 + static_cast<std::int64_t>(haystack.dict().entries.size()));
      return haystack.dict().find(needle) != nullptr;
    default:
      fail("in: nothing can be in a value of type ", kind_name(haystack));
  }
}

bool is_global_function(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames = {"range", "dict", "namespace", "raise_exception", "strftime_now"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

namespace {

Value range(Runtime& rt, const CallArgs& args) {
  const BoundArgs a("range", args, {"start", "stop", "step"});
  HADAL_CHECK(!args.positional.empty(), "range: an argument is missing");
  const bool one = args.positional.size() == 1;
  const std::int64_t start = one ? 0 : a.integer(0, 0), stop = one ? a.integer(0, 0) : a.integer(1, 0);
  const std::int64_t step = a.integer(2, 1);
  constexpr std::int64_t kMost = 100'000;  // the limit of Jinja's sandbox
  HADAL_CHECK(step != 0, "range: step is 0");
  HADAL_CHECK(std::abs(static_cast<double>(stop) - static_cast<double>(start)) / std::abs(static_cast<double>(step)) <=
                  static_cast<double>(kMost),
              "range: more than ", kMost, " numbers");
  std::vector<Value> items;
  for (__int128 i = start; step > 0 ? i < stop : i > stop; i += step)
    items.push_back(Value::integer(static_cast<std::int64_t>(i)));
  return rt.heap.list(std::move(items));
}

Value namespace_or_dict(Runtime& rt, const CallArgs& args, bool is_namespace) {
  HADAL_CHECK(args.positional.size() <= 1, is_namespace ? "namespace" : "dict", ": got ", args.positional.size(),
              " arguments without names, want at most 1");
  const Value made = rt.heap.dict({}, is_namespace ? Kind::kNamespace : Kind::kDict);
  if (!args.positional.empty()) {
    const Value& from = args.positional[0];
    HADAL_CHECK(from.is(Kind::kDict), "want a dict, got a value of type ", kind_name(from));
    for (const auto& [key, value] : from.dict().entries) rt.heap.set(made.dict(), key, value);
  }
  for (const auto& [name, value] : args.keywords) rt.heap.set(made.dict(), name, value);
  return made;
}

Value strftime_now(Runtime& rt, const CallArgs& args) {
  const BoundArgs a("strftime_now", args, {"format"});
  a.want(0);
  const std::string format = a.string(0);
  if (format.empty()) return rt.heap.string("");
  std::string out(format.size() * 8 + 256, '\0');
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &rt.now));
  return rt.heap.string(replace_ill_formed(out));
}

}  // namespace

Value call_global(Runtime& rt, std::string_view name, const CallArgs& args) {
  if (name == "range") return range(rt, args);
  if (name == "dict" || name == "namespace") return namespace_or_dict(rt, args, name == "namespace");
  if (name == "strftime_now") return strftime_now(rt, args);
  const BoundArgs a(name, args, {"message"});
  fail("the template refuses: ", a.string(0));
}

}  // namespace hadal::jinja
