#pragma once
// Python's str methods over Text. Positions in results and arguments are code points where Python's are.
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "data/chat_template/text.h"

namespace hadal::jinja {

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

Text upper(const Text& text);
Text lower(const Text& text);
/// The first character in upper case, the rest in lower case.
Text capitalize(const Text& text);
/// Every letter that follows no letter in upper case, the others in lower case.
Text title(const Text& text);
/// Jinja's filter of that name: a word begins behind white space and - ( { [ <.
Text title_words(const Text& text);

/// Without white space, or without the characters given, at the ends asked for.
Text strip(const Text& text, std::string_view characters, bool left, bool right);
Text replace(const Text& text, std::string_view from, const Text& to, std::int64_t most = kNoLimit);
/// At white space when there is no separator. `from_right` counts the splits from the end.
std::vector<Text> split(const Text& text, const std::optional<std::string>& separator, std::int64_t most,
                        bool from_right);
std::vector<Text> split_lines(const Text& text, bool keep_ends);
/// text[start:stop:step] over code points, missing parts as in Python. step is not 0.
Text slice(const Text& text, std::optional<std::int64_t> start, std::optional<std::int64_t> stop, std::int64_t step);
/// Stretches of letters, digits and underscores.
std::int64_t count_words(std::string_view text);
/// What is_letter etc. say of all characters of a text that is not empty.
enum class CharacterClass : std::uint8_t { kAlpha, kDigit, kAlnum, kSpace, kLower, kUpper };
bool all_of_class(std::string_view text, CharacterClass wanted);

/// Indexes that a Python slice takes from `size` items.
std::vector<std::size_t> slice_indexes(std::size_t size, std::optional<std::int64_t> start,
                                       std::optional<std::int64_t> stop, std::int64_t step);

}  // namespace hadal::jinja
