#include "base/option_value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "base/json.h"
#include "base/options.h"

namespace hadal {
namespace {

template <class T>
struct Inner {
  using Type = T;
  static constexpr bool kOptional = false, kVector = false;
};
template <class T>
struct Inner<std::optional<T>> {
  using Type = T;
  static constexpr bool kOptional = true, kVector = false;
};
template <class T>
struct Inner<std::vector<T>> {
  using Type = T;
  static constexpr bool kOptional = false, kVector = true;
};

template <class T>
constexpr std::string_view type_name() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, int>) return "an integer of 32 bits";
  if constexpr (std::is_same_v<T, std::int64_t>) return "an integer";
  if constexpr (std::is_same_v<T, double>) return "a number";
  return "a string";
}

template <class T>
[[noreturn]] void wrong(std::string_view where, std::string_view got) {
  fail(where, ": got ", got, ", want ", type_name<T>());
}

std::optional<double> parse_double(std::string_view text) {
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

// A double as an integer, when it is whole and small enough to be exact.
template <class T>
std::optional<T> whole(double v) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (v != std::trunc(v) || std::abs(v) > kExact) return std::nullopt;
  const auto wide = static_cast<std::int64_t>(v);
  if (wide < std::numeric_limits<T>::min() || wide > std::numeric_limits<T>::max()) return std::nullopt;
  return static_cast<T>(wide);
}

template <class T>
T parse_text(std::string_view text, std::string_view where) {
  if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
  } else if constexpr (std::is_same_v<T, double>) {
    if (const auto v = parse_double(text)) return *v;
  } else if constexpr (std::is_integral_v<T>) {
    T v = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error == std::errc() && end == text.data() + text.size()) return v;
    if (const auto real = parse_double(text))
      if (const auto rounded = whole<T>(*real)) return *rounded;
  } else {
    return std::string(text);
  }
  wrong<T>(where, str_cat('"', text, '"'));
}

template <class T>
T parse_json(const Json& value, const std::string& where) {
  if constexpr (std::is_same_v<T, bool>) {
    if (value.is_bool()) return value.get_bool();
  } else if constexpr (std::is_same_v<T, double>) {
    if (value.is_number()) return value.to_number<double>();
  } else if constexpr (std::is_integral_v<T>) {
    if (value.is_int64() && value.get_int64() >= std::numeric_limits<T>::min() &&
        value.get_int64() <= std::numeric_limits<T>::max())
      return static_cast<T>(value.get_int64());
    if (value.is_double())
      if (const auto rounded = whole<T>(value.get_double())) return *rounded;
  } else {
    if (value.is_string()) return std::string(value.get_string());
  }
  wrong<T>(where, json_excerpt(value));
}

template <class T>
std::string one_to_text(const T& value) {
  return fmt::format("{}", value);
}

void set_list(const OptionList& list, const Json& value, const std::string& where) {
  const JsonArray* const items = value.if_array();
  HADAL_CHECK(items != nullptr, where, ": got ", json_excerpt(value), ", want a list of objects");
  list.resize(items->size());
  for (std::size_t i = 0; i < items->size(); ++i)
    list.element(i).read_json((*items)[i], fmt::format("{}[{}]", where, i));
}

}  // namespace

void set_from_text(const OptionTarget& target, std::string_view text, std::string_view where) {
  const auto set = [&](const auto& into) {
    using Target = std::remove_cvref_t<decltype(into)>;
    if constexpr (std::is_same_v<Target, OptionList>) {
      set_list(into, parse_json(text, where), std::string(where));
    } else {
      using Held = std::remove_pointer_t<Target>;
      using T = typename Inner<Held>::Type;
      if constexpr (!Inner<Held>::kVector) {
        *into = parse_text<T>(text, where);
      } else if constexpr (std::is_same_v<T, std::string>) {
        into->emplace_back(text);
      } else {
        into->clear();
        while (!text.empty()) {
          const std::size_t comma = text.find(',');
          into->push_back(parse_text<T>(text.substr(0, comma), where));
          if (comma == std::string_view::npos) break;
          text.remove_prefix(comma + 1);
          HADAL_CHECK(!text.empty(), where, ": a value is missing after the last comma");
        }
      }
    }
  };
  std::visit(set, target);
}

void set_from_json(const OptionTarget& target, const Json& value, const std::string& where) {
  const auto set = [&](const auto& into) {
    using Target = std::remove_cvref_t<decltype(into)>;
    if constexpr (std::is_same_v<Target, OptionList>) {
      set_list(into, value, where);
    } else {
      using Held = std::remove_pointer_t<Target>;
      using T = typename Inner<Held>::Type;
      if constexpr (Inner<Held>::kOptional) {
        *into = value.is_null() ? Held() : Held(parse_json<T>(value, where));
      } else if constexpr (Inner<Held>::kVector) {
        const JsonArray* const items = value.if_array();
        HADAL_CHECK(items != nullptr, where, ": got ", json_excerpt(value), ", want a list");
        into->clear();
        for (std::size_t i = 0; i < items->size(); ++i)
          into->push_back(parse_json<T>((*items)[i], fmt::format("{}[{}]", where, i)));
      } else {
        *into = parse_json<T>(value, where);
      }
    }
  };
  std::visit(set, target);
}

Json to_json(const OptionTarget& target) {
  const auto get = [](const auto& from) -> Json {
    using Target = std::remove_cvref_t<decltype(from)>;
    if constexpr (std::is_same_v<Target, OptionList>) {
      JsonArray items;
      for (std::size_t i = 0; i < from.size(); ++i) items.push_back(from.element(i).to_json());
      return items;
    } else {
      using Held = std::remove_pointer_t<Target>;
      if constexpr (Inner<Held>::kOptional) {
        return from->has_value() ? Json(**from) : Json(nullptr);
      } else if constexpr (Inner<Held>::kVector) {
        return JsonArray(from->begin(), from->end());
      } else {
        return Json(*from);
      }
    }
  };
  return std::visit(get, target);
}

std::string to_text(const OptionTarget& target) {
  const auto get = [](const auto& from) -> std::string {
    using Target = std::remove_cvref_t<decltype(from)>;
    if constexpr (std::is_same_v<Target, OptionList>) {
      return from.size() == 0 ? "" : fmt::format("{} entries", from.size());
    } else {
      using Held = std::remove_pointer_t<Target>;
      if constexpr (Inner<Held>::kOptional) {
        return from->has_value() ? one_to_text(**from) : "";
      } else if constexpr (Inner<Held>::kVector) {
        return fmt::format("{}", fmt::join(*from, ","));
      } else {
        return one_to_text(*from);
      }
    }
  };
  return std::visit(get, target);
}

std::string_view placeholder(const OptionTarget& target) {
  const auto get = [](const auto& from) -> std::string_view {
    using Target = std::remove_cvref_t<decltype(from)>;
    if constexpr (std::is_same_v<Target, OptionList>) {
      return "[{...}]";
    } else {
      using Held = std::remove_pointer_t<Target>;
      using T = typename Inner<Held>::Type;
      if constexpr (std::is_same_v<T, bool>) return "";
      if constexpr (std::is_same_v<T, std::string>) return Inner<Held>::kVector ? "TEXT..." : "TEXT";
      if constexpr (std::is_same_v<T, double>) return Inner<Held>::kVector ? "X,X,..." : "X";
      return Inner<Held>::kVector ? "N,N,..." : "N";
    }
  };
  return std::visit(get, target);
}

bool is_switch(const OptionTarget& target) {
  return std::holds_alternative<bool*>(target) || std::holds_alternative<std::optional<bool>*>(target);
}

bool takes_many(const OptionTarget& target) {
  return std::holds_alternative<std::vector<std::string>*>(target);
}

}  // namespace hadal
