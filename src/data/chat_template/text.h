#pragma once
// Strings of a template that know where each of their bytes came from. Every operation of the template language keeps
// that, so what a user wrote is still known as his after it was trimmed, split, replaced and joined.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"

namespace hadal::jinja {

/// Who wrote a byte: 0 is the template, everything else is counted by who fills the variables.
using Origin = std::uint32_t;
inline constexpr Origin kTemplateOrigin = 0;

/// Well-formed UTF-8 with the origin of each byte.
class Text {
 public:
  Text() = default;
  explicit Text(std::string bytes, Origin origin = kTemplateOrigin) : bytes_(std::move(bytes)) {
    if (origin != kTemplateOrigin && !bytes_.empty()) runs_.push_back({bytes_.size(), origin});
  }

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  void append(std::string_view bytes, Origin origin);
  void append(const Text& other) { append(other, 0, other.size()); }
  /// Bytes [begin, end) of another text.
  void append(const Text& other, std::size_t begin, std::size_t end);
  Text slice(std::size_t begin, std::size_t end) const {
    Text part;
    part.append(*this, begin, end);
    return part;
  }

  /// Calls use(bytes, origin) for each longest stretch of one origin, in order.
  template <class Use>
  void for_each_run(Use&& use) const {
    std::size_t begin = 0;
    for (const Run& run : runs_) {
      use(view().substr(begin, run.end - begin), run.origin);
      begin = run.end;
    }
    if (begin < size()) use(view().substr(begin), kTemplateOrigin);
  }
  /// Each code point c becomes what map(c, out) appends to `out`; origins stay.
  template <class Map>
  Text map_code_points(Map&& map) const {
    Text result;
    for_each_run([&](std::string_view run, Origin origin) {
      std::string mapped;
      for (const char *p = run.data(), *end = p + run.size(); p < end;) {
        const CodePoint c = decode_utf8(p, end);
        map(c.value, mapped);
        p += c.length > 0 ? c.length : 1;
      }
      result.append(mapped, origin);
    });
    return result;
  }

 private:
  struct Run {
    std::size_t end;
    Origin origin;
  };
  std::string bytes_;
  std::vector<Run> runs_;  // in order; what lies behind the last one is of the template
};

/// Code points of well-formed UTF-8.
std::size_t count_code_points(std::string_view text);
/// Where code point `index` begins; text.size() when there are fewer.
std::size_t code_point_offset(std::string_view text, std::size_t index);
/// What Python's str.isspace() says of one character.
bool is_space(char32_t c);
/// How many bytes of white space text begins (ends) with. `characters`: these are taken instead when not empty.
std::size_t leading_space(std::string_view text, std::string_view characters = {});
std::size_t trailing_space(std::string_view text, std::string_view characters = {});

}  // namespace hadal::jinja
