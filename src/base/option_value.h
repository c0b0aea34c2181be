#pragma once
// The value of one option: the types that exist, and how each is read from text and JSON and written back.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace boost::json {
class value;
}

namespace hadal {

class OptionTable;

/// A vector of structs that have options of their own; the functions reach into the vector of the options struct.
struct OptionList {
  std::function<std::size_t()> size;
  std::function<void(std::size_t)> resize;
  std::function<OptionTable(std::size_t)> element;  // valid until the next resize
};

/// Where the value lives. The table does not own it.
using OptionTarget =
    std::variant<bool*, int*, std::int64_t*, double*, std::string*, std::vector<std::string>*, std::vector<int>*,
                 std::vector<double>*, std::optional<bool>*, std::optional<int>*, std::optional<std::int64_t>*,
                 std::optional<double>*, std::optional<std::string>*, OptionList>;

/// Stores `text` as a command line gives it: numbers may be written 2e6 where they are whole; vectors of numbers are
/// 1,2,3; a vector of strings gets one more element; lists are JSON. Throws Error that starts with `where`.
void set_from_text(const OptionTarget& target, std::string_view text, std::string_view where);

/// Stores a JSON value of the fitting type; null empties an optional. Throws Error that starts with `where`.
void set_from_json(const OptionTarget& target, const boost::json::value& value, const std::string& where);

boost::json::value to_json(const OptionTarget& target);

/// The value as --help shows it; empty when there is none.
std::string to_text(const OptionTarget& target);

/// What --help calls the value: N, X, TEXT, N,N,... ; empty for switches.
std::string_view placeholder(const OptionTarget& target);

bool is_switch(const OptionTarget& target);

/// Whether one flag takes all words up to the next flag.
bool takes_many(const OptionTarget& target);

}  // namespace hadal
