#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/json.h"

namespace hadal {
namespace {

bool is_plain(const Json& value) {
  return !value.is_array() && !value.is_object();
}

void append_plain(std::string& out, const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case boost::json::kind::int64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_int64());
      break;
    case boost::json::kind::uint64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_uint64());
      break;
    case boost::json::kind::string:
      append_json_string(out, {value.get_string().data(), value.get_string().size()});
      break;
    case boost::json::kind::double_: {
      if (!std::isfinite(value.get_double())) {
        out += "null";
        break;
      }
      const std::size_t start = out.size();
      fmt::format_to(std::back_inserter(out), "{}", value.get_double());
      if (out.find_first_of(".e", start) == std::string::npos) out += ".0";
      break;
    }
    default:
      out += "null";
  }
}

/// indent < 0: everything on one line, without spaces.
void append_value(std::string& out, const Json& value, int indent) {
  if (is_plain(value)) return append_plain(out, value);
  const bool object = value.is_object();
  const std::size_t size = object ? value.get_object().size() : value.get_array().size();
  const bool inline_array = !object && std::all_of(value.get_array().begin(), value.get_array().end(), is_plain);
  const bool broken = indent >= 0 && size > 0 && !inline_array;
  const int inner = indent < 0 ? indent : indent + 2;
  bool first = true;
  auto separate = [&] {
    if (!first) out += inline_array && indent >= 0 ? ", " : ",";
    if (broken) out.append("\n").append(static_cast<std::size_t>(inner), ' ');
    first = false;
  };
  out += object ? '{' : '[';
  if (object) {
    for (const auto& [key, item] : value.get_object()) {
      separate();
      append_json_string(out, {key.data(), key.size()});
      out += indent < 0 ? ":" : ": ";
      append_value(out, item, inner);
    }
  } else {
    for (const Json& item : value.get_array()) {
      separate();
      append_value(out, item, inner);
    }
  }
  if (broken) out.append("\n").append(static_cast<std::size_t>(indent), ' ');
  out += object ? '}' : ']';
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (const auto code = static_cast<unsigned char>(c); code < 0x20 || code == 0x7F)
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", code);
        else
          out += c;
    }
  }
  out += '"';
}

std::string json_pretty(const Json& value) {
  std::string out;
  append_value(out, value, 0);
  out += '\n';
  return out;
}

std::string json_line(const Json& value) {
  std::string out;
  append_value(out, value, -1);
  return out;
}

std::string json_excerpt(const Json& value) {
  constexpr std::size_t kLongest = 60;
  std::string text = json_line(value);
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // whole UTF-8 sequences only
  return text.substr(0, end) + "...";
}

}  // namespace hadal
