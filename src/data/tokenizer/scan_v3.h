#pragma once
// DeepSeek-V3's three splits as one pass by hand, many times faster than a regex engine. Comments number the
// alternatives of the third regex in kDeepseekV3Splits:
//   1 punct [A-Za-z]+   2 other? [L M]+   3 ' '? [P S]+ [\r\n]*   4 \s* [\r\n]+   5 \s+ (?!\S)   6 \s+
#include "data/tokenizer/unicode_classes.h"

namespace hadal {

class ScannerV3 {
 public:
  ScannerV3() : classes_(UnicodeClasses::get()) {}

  /// Calls emit(begin, end) for each piece of well-formed UTF-8.
  template <class Emit>
  void scan(const char* p, const char* end, Emit&& emit) const {
    while (p < end) {
      const Char first = at(p, end, 0);
      if (first.bits & kCharNumber) {  // \p{N}{1,3}
        const char* q = p + first.length;
        for (int more = 0; more < 2; ++more) {
          const Char next = at(q, end, 0);
          if (!(next.bits & kCharNumber)) break;
          q += next.length;
        }
        emit(p, q);
        p = q;
      } else if (first.bits & kCharCjk) {  // the run is cut again by the third regex: Kana have marks and punctuation
        const char* const segment_end = run(p, end, 0, kCharCjk);
        while (p < segment_end) p = scan_third(p, segment_end, 0, emit);
      } else {
        p = scan_third(p, end, kCharNumber | kCharCjk, emit);
      }
    }
  }

 private:
  static constexpr unsigned kWord = kCharLetter | kCharMark;

  struct Char {
    unsigned bits = 0;
    int length = 0;  // 0: the segment ends here
  };

  /// The character at p, or the end of the segment: `end`, or a character with a class of `stop`.
  Char at(const char* p, const char* end, unsigned stop) const {
    if (p >= end) return {};
    const auto* u = reinterpret_cast<const unsigned char*>(p);
    char32_t c = *u;
    int length = 1;
    if (c >= 0xF0) {
      c = ((c & 7) << 18) | ((u[1] & 0x3Fu) << 12) | ((u[2] & 0x3Fu) << 6) | (u[3] & 0x3Fu);
      length = 4;
    } else if (c >= 0xE0) {
      c = ((c & 15) << 12) | ((u[1] & 0x3Fu) << 6) | (u[2] & 0x3Fu);
      length = 3;
    } else if (c >= 0x80) {
      c = ((c & 31) << 6) | (u[1] & 0x3Fu);
      length = 2;
    }
    const unsigned bits = classes_.of(c);
    if (bits & stop) return {};
    return {bits, length};
  }

  /// Behind the characters from p on that have a class of `wanted`.
  const char* run(const char* p, const char* end, unsigned stop, unsigned wanted) const {
    for (Char c = at(p, end, stop); c.bits & wanted; c = at(p, end, stop)) p += c.length;
    return p;
  }

  /// Emits the first match of the third regex in the segment that p starts, and before it what matches nothing. Returns
  /// where it stopped: behind the match, or at the end of the segment.
  template <class Emit>
  const char* scan_third(const char* p, const char* end, unsigned stop, Emit&& emit) const {
    const char* const gap = p;
    for (;;) {
      const Char c = at(p, end, stop);
      if (c.length == 0) {
        if (gap < p) emit(gap, p);
        return p;
      }
      if (const char* q = match_third(p, c, end, stop)) {
        if (gap < p) emit(gap, p);
        emit(p, q);
        return q;
      }
      p += c.length;
    }
  }

  /// Behind the match of the third regex at p, or nullptr. `c` is the character at p.
  const char* match_third(const char* p, Char c, const char* end, unsigned stop) const {
    const char* const next = p + c.length;
    if (c.bits & kWord) return run(next, end, stop, kWord);  // 2
    const Char d = at(next, end, stop);
    if (c.bits & kCharPunct) {
      if (c.length == 1 && (d.bits & kCharAsciiWord)) return run(next, end, stop, kCharAsciiWord);  // 1
      return run(run(next, end, stop, kCharPunct), end, stop, kCharNewline);                        // 3
    }
    if ((d.bits & kWord) && !(c.bits & kCharNewline)) return run(next, end, stop, kWord);                           // 2
    if ((d.bits & kCharPunct) && *p == ' ') return run(run(next, end, stop, kCharPunct), end, stop, kCharNewline);  // 3
    if (c.bits & kCharSpace) return match_space(p, end, stop);
    return nullptr;
  }

  /// Alternatives 4 to 6; white space is at p.
  const char* match_space(const char* p, const char* end, unsigned stop) const {
    const char *last = p, *behind_newline = nullptr, *q = p;
    Char c;
    while ((c = at(q, end, stop)).bits & kCharSpace) {
      last = q;
      q += c.length;
      if (c.bits & kCharNewline) behind_newline = q;
    }
    if (behind_newline != nullptr) return behind_newline;  // 4
    if (c.length == 0) return q;                           // 5: nothing follows
    return last > p ? last : q;                            // 5: all but one; 6
  }

  const UnicodeClasses& classes_;
};

}  // namespace hadal
