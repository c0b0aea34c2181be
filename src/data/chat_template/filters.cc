// value | name(args): filters of single values. Those of lists are in list_filters.cc.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "data/chat_template/builtins.h"
#include "data/chat_template/list_filters.h"
#include "data/chat_template/string_methods.h"
#include "data/chat_template/string_ops.h"

namespace hadal::jinja {
namespace {

template <Text (*kChange)(const Text&)>
Value changed(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("filter", args, {});
  return rt.heap.string(kChange(to_text(v)));
}

Value trim(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("trim", args, {"chars"});
  return rt.heap.string(strip(to_text(v), a.string(0), true, true));
}

Value length(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("length", args, {});
  switch (v.kind()) {
    case Kind::kUndefined:
      return Value::integer(0);
    case Kind::kString:
      rt.heap.step(1 + static_cast<std::int64_t>(v.text().size() / 64));
      return Value::integer(static_cast<std::int64_t>(count_code_points(v.text().view())));
    case Kind::kList:
      return Value::integer(static_cast<std::int64_t>(v.list().items.size()));
    case Kind::kDict:
      return Value::integer(static_cast<std::int64_t>(v.dict().entries.size()));
    default:
      fail("length: a value of type ", kind_name(v), " has none");
  }
}

Value fallback(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("default", args, {"default_value", "boolean"});
  if (!v.is(Kind::kUndefined) && (truth(v) || !a.boolean(1, false))) return v;
  return a.has(0) ? a[0] : rt.heap.string("");
}

Value tojson(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style{.ensure_ascii = a.boolean(0, false), .sort_keys = a.boolean(3, false)};
  if (a.has(1) && a[1].is(Kind::kString)) style.indent = a[1].text().bytes();
  if (a.has(1) && a[1].is_integer())
    style.indent = std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(a[1].as_int(), 0, 64)), ' ');
  if (style.indent) style.item_separator.assign(1, ',');
  if (a.has(2) && !a[2].is(Kind::kNone)) {
    const bool pair = a[2].is(Kind::kList) && a[2].list().items.size() == 2 && a[2].list().items[0].is(Kind::kString) &&
                      a[2].list().items[1].is(Kind::kString);
    HADAL_CHECK(pair, "tojson: separators are no pair of strings");
    style.item_separator = a[2].list().items[0].text().bytes();
    style.key_separator = a[2].list().items[1].text().bytes();
  }
  return rt.heap.string(to_json_text(v, style));
}

/// The text of a number as Python's int() and float() take it.
std::string number_text(const Value& v) {
  std::string text = strip(to_text(v), {}, true, true).bytes();
  std::erase(text, '_');
  if (text.starts_with('+')) text.erase(0, 1);
  return text;
}

std::optional<double> to_float(const Value& v) {
  if (v.is_number()) return v.as_float();
  if (!v.is(Kind::kString)) return std::nullopt;
  const std::string text = number_text(v);
  double d = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), d);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return d;
}

Value to_int(Runtime&, const Value& v, const CallArgs& args) {
  const BoundArgs a("int", args, {"default", "base"});
  HADAL_CHECK(!v.is(Kind::kUndefined), "int: the value is undefined");
  if (v.is_integer()) return Value::integer(v.as_int());
  if (v.is(Kind::kString)) {
    const std::string text = number_text(v);
    std::int64_t i = 0;
    const int base = static_cast<int>(std::clamp<std::int64_t>(a.integer(1, 10), 2, 36));
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), i, base);
    if (problem == std::errc() && end == text.data() + text.size()) return Value::integer(i);
  }
  const std::optional<double> d = to_float(v);
  HADAL_CHECK(!d || std::abs(*d) < 0x1p63, "int: ", float_repr(*d), " does not fit into 64 bits");
  if (d) return Value::integer(static_cast<std::int64_t>(*d));
  return a.has(0) ? a[0] : Value::integer(0);
}

Value float_filter(Runtime&, const Value& v, const CallArgs& args) {
  const BoundArgs a("float", args, {"default"});
  HADAL_CHECK(!v.is(Kind::kUndefined), "float: the value is undefined");
  if (const std::optional<double> d = to_float(v)) return Value::floating(*d);
  return a.has(0) ? a[0] : Value::floating(0);
}

Value absolute(Runtime&, const Value& v, const CallArgs& args) {
  const BoundArgs a("abs", args, {});
  HADAL_CHECK(v.is_number(), "abs: a value of type ", kind_name(v), " is no number");
  if (v.is(Kind::kFloat)) return Value::floating(std::abs(v.as_float()));
  HADAL_CHECK(v.as_int() != std::numeric_limits<std::int64_t>::min(), "abs: integer overflow");
  return Value::integer(std::abs(v.as_int()));
}

Value round_filter(Runtime&, const Value& v, const CallArgs& args) {
  const BoundArgs a("round", args, {"precision", "method"});
  HADAL_CHECK(v.is_number(), "round: a value of type ", kind_name(v), " is no number");
  const std::string method = a.string(1, "common");
  if (method == "common" && v.is_integer() && a.integer(0, 0) >= 0) return Value::integer(v.as_int());
  const double scale = std::pow(10.0, static_cast<double>(std::clamp<std::int64_t>(a.integer(0, 0), -15, 15)));
  const double x = v.as_float() * scale;
  HADAL_CHECK(method == "common" || method == "ceil" || method == "floor", "round: method ", method);
  return Value::floating((method == "ceil"    ? std::ceil(x)
                          : method == "floor" ? std::floor(x)
                                              : std::nearbyint(x)) /
                         scale);
}

Value indent(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("indent", args, {"width", "first", "blank"});
  HADAL_CHECK(v.is(Kind::kString), "indent: a value of type ", kind_name(v), " is no string");
  const std::string width =
      a.has(0) && a[0].is(Kind::kString)
          ? a[0].text().bytes()
          : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(a.integer(0, 4), 0, 256)), ' ');
  const Text& text = v.text();
  const auto breaks = static_cast<std::size_t>(std::count(text.view().begin(), text.view().end(), '\n')) + 1;
  rt.heap.charge(breaks * (width.size() + sizeof(Text)));
  Text out;
  bool first = true;
  Text lines = text;
  lines.append("\n", kTemplateOrigin);  // so that an empty last line is a line
  for (const Text& line : split_lines(lines, false)) {
    if (!first) out.append("\n", kTemplateOrigin);
    if (first ? a.boolean(1, false) : a.boolean(2, false) || !line.empty()) out.append(width, kTemplateOrigin);
    out.append(line);
    first = false;
  }
  return rt.heap.string(std::move(out));
}

Value escape(Runtime& rt, const Value& v, const CallArgs& args) {
  const BoundArgs a("escape", args, {});
  return rt.heap.string(to_text(v).map_code_points([](char32_t c, std::string& out) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        append_utf8(out, c);
    }
  }));
}

const FilterTable& value_filters() {
  static const FilterTable kTable = {
      {"abs", absolute},
      {"capitalize", changed<capitalize>},
      {"count", length},
      {"d", fallback},
      {"default", fallback},
      {"e", escape},
      {"escape", escape},
      {"float", float_filter},
      {"indent", indent},
      {"int", to_int},
      {"length", length},
      {"lower", changed<lower>},
      {"replace", replace_value},
      {"round", round_filter},
      {"safe", [](Runtime& rt, const Value& v, const CallArgs&) { return rt.heap.string(to_text(v)); }},
      {"string", [](Runtime& rt, const Value& v, const CallArgs&) { return rt.heap.string(to_text(v)); }},
      {"title", changed<title_words>},
      {"tojson", tojson},
      {"trim", trim},
      {"upper", changed<upper>},
      {"wordcount",
       [](Runtime& rt, const Value& v, const CallArgs&) {
         const Text text = to_text(v);
         rt.heap.step(static_cast<std::int64_t>(text.size() / 64));
         return Value::integer(count_words(text.view()));
       }},
  };
  return kTable;
}

}  // namespace

Value apply_filter(Runtime& rt, std::string_view name, const Value& value, const CallArgs& args) {
  rt.heap.step(value.is(Kind::kString) ? 1 + static_cast<std::int64_t>(value.text().size() / 64) : 1);
  for (const FilterTable* table : {&value_filters(), &list_filters()})
    if (const auto found = table->find(name); found != table->end()) return found->second(rt, value, args);
  fail("there is no filter \"", name, "\"");
}

}  // namespace hadal::jinja
