#include "data/chat_template/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace hadal::jinja {
namespace {

// Values cannot contain themselves, but templates can nest lists in lists.
constexpr int kMaxDepth = 200;

void check_depth(int depth) {
  HADAL_CHECK(depth <= kMaxDepth, "a value of the template is nested deeper than ", kMaxDepth);
}

// Lists may hold one list many times over: what is printed or compared can be far larger than what is stored.
constexpr std::size_t kMaxPrinted = std::size_t{16} << 20;
constexpr std::int64_t kMaxCompared = 1'000'000;

bool equal_at(const Value& a, const Value& b, int depth, std::int64_t& compared) {
  check_depth(depth);
  HADAL_CHECK(++compared <= kMaxCompared, "values of the template are too large to compare");
  if (a.is_number() && b.is_number())
    return a.is_integer() && b.is_integer() ? a.as_int() == b.as_int() : a.as_float() == b.as_float();
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.text().view() == b.text().view();
    case Kind::kList: {
      const List &x = a.list(), &y = b.list();
      return x.tuple == y.tuple &&
             std::equal(x.items.begin(), x.items.end(), y.items.begin(), y.items.end(),
                        [&](const Value& p, const Value& q) { return equal_at(p, q, depth + 1, compared); });
    }
    case Kind::kDict: {
      const Dict &x = a.dict(), &y = b.dict();
      return x.entries.size() == y.entries.size() &&
             std::all_of(x.entries.begin(), x.entries.end(), [&](const auto& entry) {
               const Value* other = y.find(entry.first);
               return other != nullptr && equal_at(entry.second, *other, depth + 1, compared);
             });
    }
    default:
      return a.same(b);
  }
}

std::optional<int> compare_at(const Value& a, const Value& b, int depth) {
  check_depth(depth);
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.is_integer() && b.is_integer()) return order(a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) {
    if (std::isnan(a.as_float()) || std::isnan(b.as_float())) return std::nullopt;
    return order(a.as_float(), b.as_float());
  }
  if (a.is(Kind::kString) && b.is(Kind::kString)) return order(a.text().view(), b.text().view());
  if (!a.is(Kind::kList) || !b.is(Kind::kList) || a.list().tuple != b.list().tuple) return std::nullopt;
  const auto &x = a.list().items, &y = b.list().items;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (!equal(x[i], y[i])) return compare_at(x[i], y[i], depth + 1);
  return order(x.size(), y.size());
}

/// Whether repr() shows the character itself. Python asks Unicode; unassigned and private ones are rare enough here.
bool is_printable(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) return false;
  if (c == ' ' || !is_space(c))
    return !((c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
             (c >= 0xE000 && c <= 0xF8FF) || c == 0xFEFF);
  return false;
}

Text string_repr(const Text& text) {
  const char quote =
      text.view().find('\'') != std::string_view::npos && text.view().find('"') == std::string_view::npos ? '"' : '\'';
  Text out(std::string(1, quote));
  out.append(text.map_code_points([&](char32_t c, std::string& to) {
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      to += '\\';
      to += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      to += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (is_printable(c)) {
      append_utf8(to, c);
    } else {
      to += c < 0x100     ? fmt::format("\\x{:02x}", static_cast<unsigned>(c))
            : c < 0x10000 ? fmt::format("\\u{:04x}", static_cast<unsigned>(c))
                          : fmt::format("\\U{:08x}", static_cast<unsigned>(c));
    }
  }));
  out.append(std::string_view(&quote, 1), kTemplateOrigin);
  return out;
}

void append_repr(Text& out, const Value& v, int depth) {
  check_depth(depth);
  HADAL_CHECK(out.size() <= kMaxPrinted, "a value of the template takes more than ", kMaxPrinted, " bytes to print");
  switch (v.kind()) {
    case Kind::kUndefined:
      return out.append("Undefined", kTemplateOrigin);
    case Kind::kString:
      return out.append(string_repr(v.text()));
    case Kind::kList: {
      const List& list = v.list();
      out.append(list.tuple ? "(" : "[", list.origin);
      for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i > 0) out.append(", ", list.origin);
        append_repr(out, list.items[i], depth + 1);
      }
      return out.append(list.tuple ? list.items.size() == 1 ? ",)" : ")" : "]", list.origin);
    }
    case Kind::kDict: {
      const Dict& dict = v.dict();
      out.append("{", dict.origin);
      for (std::size_t i = 0; i < dict.entries.size(); ++i) {
        if (i > 0) out.append(", ", dict.origin);
        append_repr(out, dict.entries[i].first, depth + 1);
        out.append(": ", dict.origin);
        append_repr(out, dict.entries[i].second, depth + 1);
      }
      return out.append("}", dict.origin);
    }
    default:
      return out.append(to_text(v));
  }
}

}  // namespace

const Value* Dict::find(std::string_view key) const {
  for (const auto& [k, v] : entries)
    if (k.is(Kind::kString) && k.text().view() == key) return &v;
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  if (key.is(Kind::kString)) return find(key.text().view());
  for (const auto& [k, v] : entries)
    if (equal(k, key)) return &v;
  return nullptr;
}

std::string_view kind_name(const Value& v) {
  constexpr std::array<std::string_view, 10> kNames = {"undefined", "none", "bool", "int",       "float",
                                                       "str",       "list", "dict", "namespace", "function"};
  if (v.is(Kind::kList) && v.list().tuple) return "tuple";
  return kNames[static_cast<std::size_t>(v.kind())];
}

bool truth(const Value& v) {
  switch (v.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return v.as_int() != 0;
    case Kind::kFloat:
      return v.as_float() != 0;
    case Kind::kString:
      return !v.text().empty();
    case Kind::kList:
      return !v.list().items.empty();
    case Kind::kDict:
      return !v.dict().entries.empty();
    default:
      return true;
  }
}

bool equal(const Value& a, const Value& b) {
  std::int64_t compared = 0;
  return equal_at(a, b, 0, compared);
}
std::optional<int> compare(const Value& a, const Value& b) {
  return compare_at(a, b, 0);
}

std::string float_repr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  char buffer[40];
  const char* const end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + 1 + (text[e + 1] == '+' ? 1 : 0), end, exponent);
  const std::string_view sign = text[0] == '-' ? "-" : "";
  std::string digits;
  for (const char c : text.substr(0, e))
    if (c >= '0' && c <= '9') digits += c;
  const auto zeros = [](std::size_t n) { return std::string(n, '0'); };
  if (exponent < -4 || exponent >= 16)
    return fmt::format("{}{}{}{}e{}{:02d}", sign, digits[0], digits.size() > 1 ? "." : "", digits.substr(1),
                       exponent < 0 ? '-' : '+', std::abs(exponent));
  if (exponent < 0) return str_cat(sign, "0.", zeros(static_cast<std::size_t>(-exponent - 1)), digits);
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return str_cat(sign, digits, zeros(whole - digits.size()), ".0");
  return str_cat(sign, digits.substr(0, whole), ".", digits.substr(whole));
}

Text to_text(const Value& v) {
  switch (v.kind()) {
    case Kind::kUndefined:
      return {};
    case Kind::kNone:
      return Text("None");
    case Kind::kBool:
      return Text(v.as_int() != 0 ? "True" : "False");
    case Kind::kInt:
      return Text(std::to_string(v.as_int()));
    case Kind::kFloat:
      return Text(float_repr(v.as_float()));
    case Kind::kString:
      return v.text();
    case Kind::kList:
    case Kind::kDict:
      return to_repr(v);
    case Kind::kNamespace:
      return Text("<Namespace>");
    case Kind::kFunction:
      return Text("<function>");
  }
  return {};
}

Text to_repr(const Value& v) {
  Text out;
  append_repr(out, v, 0);
  return out;
}

}  // namespace hadal::jinja
