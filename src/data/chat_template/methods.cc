// Methods of strings, dicts and lists: those that read. What changes a value is not in Hugging Face's sandbox either.
#include <algorithm>
#include <map>

#include "data/chat_template/builtins.h"
#include "data/chat_template/string_methods.h"
#include "data/chat_template/string_ops.h"

namespace hadal::jinja {
namespace {

using Method = Value (*)(Runtime&, const Value& self, const CallArgs&);
using MethodTable = std::map<std::string_view, Method>;

std::size_t count_of(std::string_view text, std::string_view part) {
  if (part.empty()) return count_code_points(text) + 1;
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

Value list_of(Runtime& rt, std::vector<Text> texts) {
  std::vector<Value> items;
  items.reserve(texts.size());
  for (Text& text : texts) items.push_back(rt.heap.string(std::move(text)));
  return rt.heap.list(std::move(items));
}

template <bool kFromRight>
Value split_method(Runtime& rt, const Value& self, const CallArgs& args) {
  const BoundArgs a("split", args, {"sep", "maxsplit"});
  std::optional<std::string> separator;
  if (a.has(0) && !a[0].is(Kind::kNone)) separator = a.string(0);
  HADAL_CHECK(!separator || !separator->empty(), "split: the separator is empty");
  const std::size_t most = separator ? count_of(self.text().view(), *separator) + 1 : self.text().size() / 2 + 1;
  rt.heap.charge(most * (sizeof(Text) + sizeof(Value)));
  return list_of(rt, split(self.text(), separator, a.integer(1, -1), kFromRight));
}

template <bool kLeft, bool kRight>
Value strip_method(Runtime& rt, const Value& self, const CallArgs& args) {
  const BoundArgs a("strip", args, {"chars"});
  if (a.has(0) && a[0].is(Kind::kString) && a[0].text().empty()) return self;
  return rt.heap.string(strip(self.text(), a.string(0), kLeft, kRight));
}

template <bool kStart>
Value starts_or_ends(Runtime& rt, const Value& self, const CallArgs& args) {
  const std::string_view name = kStart ? "startswith" : "endswith";
  const BoundArgs a(name, args, {"prefix"});
  const auto one = [&](const Value& part) {
    HADAL_CHECK(part.is(Kind::kString), name, ": got a value of type ", kind_name(part), ", want a string");
    const std::string_view p = part.text().view(), text = self.text().view();
    return kStart ? text.starts_with(p) : text.ends_with(p);
  };
  if (!a.want(0).is(Kind::kList)) return Value::boolean(one(a[0]));
  const auto& parts = a[0].list().items;
  rt.heap.step(static_cast<std::int64_t>(parts.size()));
  return Value::boolean(std::any_of(parts.begin(), parts.end(), one));
}

template <bool kFromRight, bool kMustExist>
Value find_method(Runtime&, const Value& self, const CallArgs& args) {
  const BoundArgs a("find", args, {"sub"});
  a.want(0);
  const std::string_view text = self.text().view();
  const std::size_t at = kFromRight ? text.rfind(a.string(0)) : text.find(a.string(0));
  HADAL_CHECK(!kMustExist || at != std::string_view::npos, "index: the text does not hold ", a.string(0));
  return Value::integer(
      at == std::string_view::npos ? -1 : static_cast<std::int64_t>(count_code_points(text.substr(0, at))));
}

template <Text (*kChange)(const Text&)>
Value changed(Runtime& rt, const Value& self, const CallArgs& args) {
  const BoundArgs a("a method of strings", args, {});
  return rt.heap.string(kChange(self.text()));
}

template <CharacterClass kClass>
Value is_class(Runtime&, const Value& self, const CallArgs& args) {
  const BoundArgs a("a method of strings", args, {});
  return Value::boolean(all_of_class(self.text().view(), kClass));
}

template <bool kPrefix>
Value remove_affix(Runtime& rt, const Value& self, const CallArgs& args) {
  const BoundArgs a(kPrefix ? "removeprefix" : "removesuffix", args, {"affix"});
  a.want(0);
  const Text& text = self.text();
  const std::string affix = a.string(0);
  if (kPrefix && text.view().starts_with(affix)) return rt.heap.string(text.slice(affix.size(), text.size()));
  if (!kPrefix && text.view().ends_with(affix)) return rt.heap.string(text.slice(0, text.size() - affix.size()));
  return self;
}

template <bool kFromRight>
Value partition(Runtime& rt, const Value& self, const CallArgs& args) {
  const BoundArgs a("partition", args, {"sep"});
  a.want(0);
  const std::string separator = a.string(0);
  HADAL_CHECK(!separator.empty(), "partition: the separator is empty");
  const Text& text = self.text();
  const std::size_t at = kFromRight ? text.view().rfind(separator) : text.view().find(separator);
  const Value empty = rt.heap.string("");
  if (at == std::string_view::npos)
    return rt.heap.list(kFromRight ? std::vector<Value>{empty, empty, self} : std::vector<Value>{self, empty, empty},
                        true);
  const std::size_t end = at + separator.size();
  return rt.heap.list({rt.heap.string(text.slice(0, at)), rt.heap.string(text.slice(at, end)),
                       rt.heap.string(text.slice(end, text.size()))},
                      true);
}

const MethodTable& string_methods() {
  static const MethodTable kTable = {
      {"capitalize", changed<capitalize>},
      {"count",
       [](Runtime&, const Value& self, const CallArgs& args) {
         const BoundArgs a("count", args, {"sub"});
         a.want(0);
         return Value::integer(static_cast<std::int64_t>(count_of(self.text().view(), a.string(0))));
       }},
      {"endswith", starts_or_ends<false>},
      {"find", find_method<false, false>},
      {"index", find_method<false, true>},
      {"isalnum", is_class<CharacterClass::kAlnum>},
      {"isalpha", is_class<CharacterClass::kAlpha>},
      {"isdigit", is_class<CharacterClass::kDigit>},
      {"islower", is_class<CharacterClass::kLower>},
      {"isspace", is_class<CharacterClass::kSpace>},
      {"isupper", is_class<CharacterClass::kUpper>},
      {"join",
       [](Runtime& rt, const Value& self, const CallArgs& args) {
         const BoundArgs a("join", args, {"iterable"});
         return join_values(rt, items_of(rt, a.want(0)), self.text(), true);
       }},
      {"lower", changed<lower>},
      {"lstrip", strip_method<true, false>},
      {"partition", partition<false>},
      {"removeprefix", remove_affix<true>},
      {"removesuffix", remove_affix<false>},
      {"replace", [](Runtime& rt, const Value& self, const CallArgs& args) { return replace_value(rt, self, args); }},
      {"rfind", find_method<true, false>},
      {"rpartition", partition<true>},
      {"rsplit", split_method<true>},
      {"rstrip", strip_method<false, true>},
      {"split", split_method<false>},
      {"splitlines",
       [](Runtime& rt, const Value& self, const CallArgs& args) {
         const BoundArgs a("splitlines", args, {"keepends"});
         rt.heap.charge(self.text().size() * (sizeof(Text) + sizeof(Value)));
         return list_of(rt, split_lines(self.text(), a.boolean(0, false)));
       }},
      {"startswith", starts_or_ends<true>},
      {"strip", strip_method<true, true>},
      {"title", changed<title>},
      {"upper", changed<upper>},
  };
  return kTable;
}

Value items_method(Runtime& rt, const Value& self, const CallArgs& args) {
  const BoundArgs a("items", args, {});
  return dict_items(rt, self);
}

const MethodTable& dict_methods() {
  static const MethodTable kTable = {
      {"copy",
       [](Runtime& rt, const Value& self, const CallArgs& args) {
         const BoundArgs a("copy", args, {});
         return rt.heap.dict(self.dict());
       }},
      {"get",
       [](Runtime&, const Value& self, const CallArgs& args) {
         const BoundArgs a("get", args, {"key", "default"});
         const Value* found = self.dict().find(a.want(0));
         return found != nullptr ? *found : a.has(1) ? a[1] : Value::none();
       }},
      {"items", items_method},
      {"keys",
       [](Runtime& rt, const Value& self, const CallArgs& args) {
         const BoundArgs a("keys", args, {});
         return rt.heap.list(items_of(rt, self), false, self.dict().origin);
       }},
      {"values",
       [](Runtime& rt, const Value& self, const CallArgs& args) {
         const BoundArgs a("values", args, {});
         std::vector<Value> values;
         for (const auto& entry : self.dict().entries) values.push_back(entry.second);
         return rt.heap.list(std::move(values), false, self.dict().origin);
       }},
  };
  return kTable;
}

const MethodTable& list_methods() {
  static const MethodTable kTable = {
      {"copy",
       [](Runtime& rt, const Value& self, const CallArgs& args) {
         const BoundArgs a("copy", args, {});
         return rt.heap.list(self.list().items, false, self.list().origin);
       }},
      {"count",
       [](Runtime&, const Value& self, const CallArgs& args) {
         const BoundArgs a("count", args, {"value"});
         const auto& items = self.list().items;
         return Value::integer(
             std::count_if(items.begin(), items.end(), [&](const Value& v) { return equal(v, a.want(0)); }));
       }},
      {"index",
       [](Runtime&, const Value& self, const CallArgs& args) {
         const BoundArgs a("index", args, {"value"});
         const auto& items = self.list().items;
         const auto at = std::find_if(items.begin(), items.end(), [&](const Value& v) { return equal(v, a.want(0)); });
         HADAL_CHECK(at != items.end(), "index: the list does not hold the value");
         return Value::integer(at - items.begin());
       }},
  };
  return kTable;
}

const MethodTable* methods_of(const Value& value) {
  return value.is(Kind::kString) ? &string_methods()
         : value.is(Kind::kDict) ? &dict_methods()
         : value.is(Kind::kList) ? &list_methods()
                                 : nullptr;
}

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  const MethodTable* table = methods_of(value);
  return table != nullptr && table->contains(name);
}

Value call_method(Runtime& rt, const Value& self, std::string_view name, const CallArgs& args) {
  const MethodTable* table = methods_of(self);
  const auto found = table == nullptr ? MethodTable::const_iterator() : table->find(name);
  HADAL_CHECK(table != nullptr && found != table->end(), kind_name(self), " has no method ", name);
  rt.heap.step(self.is(Kind::kString) ? 1 + static_cast<std::int64_t>(self.text().size() / 64) : 1);
  return found->second(rt, self, args);
}

Value join_values(Runtime& rt, const std::vector<Value>& items, const Text& between, bool only_strings) {
  Text out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    HADAL_CHECK(!only_strings || items[i].is(Kind::kString), "join: an item is of type ", kind_name(items[i]),
                ", want a string");
    if (i > 0) out.append(between);
    out.append(to_text(items[i]));
    HADAL_CHECK(static_cast<std::int64_t>(out.size()) <= rt.heap.limits().max_heap_bytes, "join: the text is too long");
  }
  return rt.heap.string(std::move(out));
}

Value replace_value(Runtime& rt, const Value& self, const CallArgs& args) {
  const BoundArgs a("replace", args, {"old", "new", "count"});
  HADAL_CHECK(a.want(0).is(Kind::kString) && a.want(1).is(Kind::kString), "replace: want strings");
  const Text text = to_text(self);
  const std::int64_t most = a.integer(2, -1);
  rt.heap.charge(count_of(text.view(), a[0].text().view()) * (a[1].text().size() + 16));
  return rt.heap.string(replace(text, a[0].text().view(), a[1].text(), most < 0 ? kNoLimit : most));
}

Value dict_items(Runtime& rt, const Value& dict) {
  std::vector<Value> items;
  for (const auto& [key, value] : dict.dict().entries)
    items.push_back(rt.heap.list({key, value}, true, dict.dict().origin));
  return rt.heap.list(std::move(items), false, dict.dict().origin);
}

}  // namespace hadal::jinja
