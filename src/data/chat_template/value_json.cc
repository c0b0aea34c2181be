// json.dumps, as the tojson filter of Hugging Face's environment calls it: nothing is escaped for HTML.
#include <algorithm>
#include <cmath>

#include "data/chat_template/value.h"

namespace hadal::jinja {
namespace {

class Dumper {
 public:
  explicit Dumper(const JsonStyle& style) : style_(style) {}

  void dump(const Value& v, Origin around, int depth) {
    HADAL_CHECK(depth <= 200, "tojson: a value is nested deeper than 200");
    // One list may stand in another many times over.
    HADAL_CHECK(out_.size() <= kMaxBytes, "tojson: a value takes more than ", kMaxBytes, " bytes");
    switch (v.kind()) {
      case Kind::kNone:
        return out_.append("null", around);
      case Kind::kBool:
        return out_.append(v.as_int() != 0 ? "true" : "false", around);
      case Kind::kInt:
      case Kind::kFloat:
        return out_.append(number(v), around);
      case Kind::kString:
        return string(v.text());
      case Kind::kList:
        return list(v.list(), depth);
      case Kind::kDict:
        return dict(v.dict(), depth);
      default:
        fail("tojson: JSON has no value for ", v.name().empty() ? std::string(kind_name(v)) : "undefined " + v.name());
    }
  }
  Text take() { return std::move(out_); }

 private:
  static constexpr std::size_t kMaxBytes = std::size_t{16} << 20;

  static std::string number(const Value& v) {
    if (v.is(Kind::kInt)) return std::to_string(v.as_int());
    const double d = v.as_float();
    return std::isnan(d) ? "NaN" : std::isinf(d) ? d > 0 ? "Infinity" : "-Infinity" : float_repr(d);
  }

  void string(const Text& text) {
    const auto unit = [](std::string& to, unsigned u) { to += fmt::format("\\u{:04x}", u); };
    out_.append("\"", first_origin(text));
    out_.append(text.map_code_points([&](char32_t c, std::string& to) {
      constexpr std::string_view kShort = "\"\\\n\r\t\b\f", kNames = "\"\\nrtbf";
      const std::size_t named = c < 0x80 ? kShort.find(static_cast<char>(c)) : std::string_view::npos;
      if (named != std::string_view::npos) {
        to += '\\';
        to += kNames[named];
      } else if (c < 0x20 || (style_.ensure_ascii && c >= 0x7F && c < 0x10000)) {
        unit(to, static_cast<unsigned>(c));
      } else if (style_.ensure_ascii && c >= 0x10000) {
        unit(to, 0xD800 + ((static_cast<unsigned>(c) - 0x10000) >> 10));
        unit(to, 0xDC00 + ((static_cast<unsigned>(c) - 0x10000) & 0x3FF));
      } else {
        append_utf8(to, c);
      }
    }));
    out_.append("\"", first_origin(text));
  }
  static Origin first_origin(const Text& text) {
    Origin origin = kTemplateOrigin;
    text.for_each_run([&](std::string_view, Origin o) { origin = std::max(origin, o); });
    return origin;
  }

  void new_line(Origin origin, int depth) {
    if (!style_.indent) return;
    out_.append("\n", origin);
    for (int i = 0; i < depth; ++i) out_.append(*style_.indent, origin);
  }
  void between(Origin origin, int depth, bool first) {
    if (!first) out_.append(style_.item_separator, origin);
    new_line(origin, depth + 1);
  }

  void list(const List& list, int depth) {
    out_.append("[", list.origin);
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      between(list.origin, depth, i == 0);
      dump(list.items[i], list.origin, depth + 1);
    }
    if (!list.items.empty()) new_line(list.origin, depth);
    out_.append("]", list.origin);
  }

  void dict(const Dict& dict, int depth) {
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
        const std::optional<int> order = compare(a->first, b->first);
        return order.has_value() && *order < 0;
      });
    out_.append("{", dict.origin);
    for (const auto* entry : entries) {
      between(dict.origin, depth, entry == entries.front());
      const Value& key = entry->first;
      if (key.is(Kind::kString)) {
        string(key.text());
      } else {
        out_.append("\"", dict.origin);
        dump(key, dict.origin, depth + 1);
        out_.append("\"", dict.origin);
      }
      out_.append(style_.key_separator, dict.origin);
      dump(entry->second, dict.origin, depth + 1);
    }
    if (!entries.empty()) new_line(dict.origin, depth);
    out_.append("}", dict.origin);
  }

  const JsonStyle& style_;
  Text out_;
};

}  // namespace

Text to_json_text(const Value& v, const JsonStyle& style) {
  Dumper dumper(style);
  dumper.dump(v, kTemplateOrigin, 0);
  return dumper.take();
}

}  // namespace hadal::jinja
