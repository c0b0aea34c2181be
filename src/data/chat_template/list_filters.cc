#include "data/chat_template/list_filters.h"

#include <algorithm>

#include "data/chat_template/string_methods.h"
#include "data/chat_template/string_ops.h"

namespace hadal::jinja {
namespace {

Value list_filter(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("list", args, {});
  return rt.heap.list(items_of(rt, v));
}

template <bool kLast>
Value end_item(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a(kLast ? "last" : "first", args, {});
  const std::vector<Value> items = items_of(rt, v);
  return items.empty() ? Value() : kLast ? items.back() : items.front();
}

Value join(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("join", args, {"d", "attribute"});
  std::vector<Value> items = items_of(rt, v);
  if (a.has(1) && !a[1].is(Kind::kNone))
    for (Value& item : items) item = get_path(rt, item, a[1]);
  return join_values(rt, items, a.has(0) ? to_text(a[0]) : Text(), false);
}

Value items_filter(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("items", args, {});
  if (v.is(Kind::kUndefined)) return rt.heap.list();
  HADAL_CHECK(v.is(Kind::kDict), "items: want a dict, got a value of type ", kind_name(v));
  return dict_items(rt, v);
}

/// The items; none of anything that counts as false, as Jinja's map and select have it.
std::vector<Value> items_if_true(Runtime& rt, const Value& v) {
  return truth(v) ? items_of(rt, v) : std::vector<Value>();
}

Value map_filter(Runtime& rt, const Value& v, const CallArgs& args) {
  std::vector<Value> items = items_if_true(rt, v);
  if (args.positional.empty()) {
    const BoundArgs a("map", args, {"attribute", "default"});
    for (Value& item : items) {
      item = get_path(rt, item, a.want(0));
      if (item.is(Kind::kUndefined) && a.has(1)) item = a[1];
    }
  } else {
    HADAL_CHECK(args.positional[0].is(Kind::kString), "map: the name of a filter is no string");
    CallArgs rest{{args.positional.begin() + 1, args.positional.end()}, args.keywords};
    for (Value& item : items) item = apply_filter(rt, args.positional[0].text().view(), item, rest);
  }
  return rt.heap.list(std::move(items));
}

/// select, reject, selectattr, rejectattr: what a test says of each item, or of an attribute of it.
template <bool kAttribute, bool kKeep>
Value select(Runtime& rt, const Value& v, const CallArgs& args) {
  HADAL_CHECK(!kAttribute || !args.positional.empty(), "selectattr: the attribute is missing");
  const std::size_t at = kAttribute ? 1 : 0;
  CallArgs rest;
  std::string_view test;
  if (args.positional.size() > at) {
    HADAL_CHECK(args.positional[at].is(Kind::kString), "select: the name of a test is no string");
    test = args.positional[at].text().view();
    rest.positional.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1, args.positional.end());
  }
  std::vector<Value> kept;
  for (const Value& item : items_if_true(rt, v)) {
    const Value tested = kAttribute ? get_path(rt, item, args.positional[0]) : item;
    if ((test.empty() ? truth(tested) : apply_test(rt, test, tested, rest)) == kKeep) kept.push_back(item);
  }
  return rt.heap.list(std::move(kept));
}

Value reverse(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("reverse", args, {});
  if (v.is(Kind::kString)) return rt.heap.string(slice(v.text(), std::nullopt, std::nullopt, -1));
  std::vector<Value> items = items_of(rt, v);
  std::reverse(items.begin(), items.end());
  return rt.heap.list(std::move(items));
}

/// What items are sorted and compared by.
Value sort_key(Runtime& rt, const Value& item, const Value& attribute, bool has_attribute, bool case_sensitive) {
  const Value key = has_attribute ? get_path(rt, item, attribute) : item;
  return key.is(Kind::kString) && !case_sensitive ? rt.heap.string(lower(key.text())) : key;
}

Value sorted(Runtime& rt, std::vector<std::pair<Value, Value>> keyed, bool reverse) {
  rt.heap.charge(keyed.size() * 64);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    rt.heap.step();
    if (equal(a.first, b.first)) return false;
    const std::optional<int> order = compare(a.first, b.first);
    HADAL_CHECK(order.has_value(), "sort: values of type ", kind_name(a.first), " and ", kind_name(b.first),
                " have no order");
    return reverse ? *order > 0 : *order < 0;
  });
  std::vector<Value> items;
  for (const auto& entry : keyed) items.push_back(entry.second);
  return rt.heap.list(std::move(items));
}

Value sort_filter(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("sort", args, {"reverse", "case_sensitive", "attribute"});
  std::vector<std::pair<Value, Value>> keyed;
  const bool attribute = a.has(2) && !a[2].is(Kind::kNone);
  for (const Value& item : items_of(rt, v))
    keyed.emplace_back(sort_key(rt, item, a[2], attribute, a.boolean(1, false)), item);
  return sorted(rt, std::move(keyed), a.boolean(0, false));
}

Value dictsort(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("dictsort", args, {"case_sensitive", "by", "reverse"});
  HADAL_CHECK(v.is(Kind::kDict), "dictsort: want a dict, got a value of type ", kind_name(v));
  const std::string by = a.string(1, "key");
  HADAL_CHECK(by == "key" || by == "value", "dictsort: by ", by, ", want key or value");
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : v.dict().entries)
    keyed.emplace_back(sort_key(rt, by == "key" ? key : value, {}, false, a.boolean(0, false)),
                       rt.heap.list({key, value}, true, v.dict().origin));
  return sorted(rt, std::move(keyed), a.boolean(2, false));
}

Value unique(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("unique", args, {"case_sensitive", "attribute"});
  const bool attribute = a.has(1) && !a[1].is(Kind::kNone);
  std::vector<Value> seen, kept;
  for (const Value& item : items_of(rt, v)) {
    const Value key = sort_key(rt, item, a[1], attribute, a.boolean(0, false));
    rt.heap.step(1 + static_cast<std::int64_t>(seen.size()));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& s) { return equal(s, key); })) continue;
    seen.push_back(key);
    kept.push_back(item);
  }
  return rt.heap.list(std::move(kept));
}

template <bool kMax>
Value extreme(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a(kMax ? "max" : "min", args, {"case_sensitive", "attribute"});
  const bool attribute = a.has(1) && !a[1].is(Kind::kNone);
  Value best, best_key;
  bool any = false;
  for (const Value& item : items_of(rt, v)) {
    const Value key = sort_key(rt, item, a[1], attribute, a.boolean(0, false));
    const std::optional<int> order = any ? compare(key, best_key) : 0;
    HADAL_CHECK(order.has_value(), kMax ? "max" : "min", ": the items have no order");
    if (any && !(kMax ? *order > 0 : *order < 0)) continue;
    any = true;
    best = item;
    best_key = key;
  }
  return best;
}

Value sum(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("sum", args, {"attribute", "start"});
  std::int64_t whole = a.has(1) && a[1].is_integer() ? a[1].as_int() : 0;
  double real = a.has(1) && a[1].is(Kind::kFloat) ? a[1].as_float() : 0;
  bool is_float = a.has(1) && a[1].is(Kind::kFloat);
  for (Value item : items_of(rt, v)) {
    if (a.has(0) && !a[0].is(Kind::kNone)) item = get_path(rt, item, a[0]);
    HADAL_CHECK(item.is_number(), "sum: a value of type ", kind_name(item), " is no number");
    if (item.is(Kind::kFloat)) {
      is_float = true;
      real += item.as_float();
    } else {
      HADAL_CHECK(!__builtin_add_overflow(whole, item.as_int(), &whole), "sum: integer overflow");
    }
  }
  return is_float ? Value::floating(real + static_cast<double>(whole)) : Value::integer(whole);
}

Value attribute_filter(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("attr", args, {"name"});
  return v.is(Kind::kNamespace) ? get_item(rt, v, a.want(0)) : Value();
}

Value batch(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("batch", args, {"linecount", "fill_with"});
  const std::int64_t size = a.integer(0, 0);
  HADAL_CHECK(size > 0 && size <= 100'000, "batch: linecount ", size, ", want 1 to 100000");
  std::vector<Value> rows, row;
  const auto close = [&] {
    rows.push_back(rt.heap.list(std::move(row)));
    row.clear();
  };
  for (const Value& item : items_of(rt, v)) {
    if (static_cast<std::int64_t>(row.size()) == size) close();
    row.push_back(item);
  }
  if (!row.empty()) {
    if (a.has(1) && !a[1].is(Kind::kNone)) row.resize(static_cast<std::size_t>(size), a[1]);
    close();
  }
  return rt.heap.list(std::move(rows));
}

}  // namespace

const FilterTable& list_filters() {
  static const FilterTable kTable = {
      {"attr", attribute_filter},
      {"batch", batch},
      {"dictsort", dictsort},
      {"first", end_item<false>},
      {"items", items_filter},
      {"join", join},
      {"last", end_item<true>},
      {"list", list_filter},
      {"map", map_filter},
      {"max", extreme<true>},
      {"min", extreme<false>},
      {"reject", select<false, false>},
      {"rejectattr", select<true, false>},
      {"reverse", reverse},
      {"select", select<false, true>},
      {"selectattr", select<true, true>},
      {"sort", sort_filter},
      {"sum", sum},
      {"unique", unique},
  };
  return kTable;
}

}  // namespace hadal::jinja
