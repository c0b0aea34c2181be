#pragma once
#include <string>
#include <string_view>

namespace hadal {

/// Unicode's normalization form C of the well-formed parts of a text; other bytes stay. O(n log n) for every input:
/// long runs of combining marks too.
std::string to_nfc(std::string_view text);

}  // namespace hadal
