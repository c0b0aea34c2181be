#pragma once
// What kind of text a document is, by its lines and signs: mixing weights and filters depend on it.
#include <array>
#include <cstdint>
#include <string_view>

#include "data/corpus/text_scan.h"

namespace hadal {

enum class TextClass : std::uint8_t { kProse, kCode, kMath };
inline constexpr std::size_t kNumTextClasses = 3;
inline constexpr std::array<std::string_view, kNumTextClasses> kTextClassNames = {"prose", "code", "math"};

/// Throws Error on another name.
TextClass parse_text_class(std::string_view name);

/// Code: at least 0.4 of the lines look like statements (they end in ; { } or a colon behind brackets, begin with a
/// word that programming languages have or with a comment sign, and so on) and signs are at least 0.04 of the
/// characters. Math: at least 0.04 of the words are TeX commands, equations between numbers or letters, or words of
/// mathematics. Else prose. A heuristic: pages that quote code are prose, as they should be.
TextClass classify_text(const TextScan& scan);

}  // namespace hadal
