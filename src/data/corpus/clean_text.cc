#include "data/corpus/clean_text.h"

#include <utf8proc.h>

#include <cstdlib>
#include <utility>

#include "base/utf8.h"

namespace hadal {
namespace {

bool is_line_end(char32_t c) {
  return c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_control(char32_t c) {
  return (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7F && c < 0xA0);
}

/// Invisible, and without a meaning of their own in running text.
bool is_zero_width(char32_t c) {
  return c == 0x200B || c == 0x200E || c == 0x200F || c == 0x2060 || c == 0xFEFF || c == 0xAD ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/// Whether the character may be changed by NFC, or take part in a composition. The ranges that are left out are the
/// ones that most text is made of: below the combining marks, Cyrillic without marks, kana without voice marks,
/// ideographs, Hangul syllables, general and CJK punctuation.
bool may_need_nfc(char32_t c) {
  if (c < 0x300) return false;
  if (c >= 0x400 && c <= 0x482) return false;
  if (c >= 0x4E00 && c <= 0x9FFF) return false;
  if (c >= 0x2010 && c <= 0x2027) return false;
  if (c >= 0x3001 && c <= 0x3029) return false;
  if (c >= 0x3041 && c <= 0x30FE) return c == 0x3099 || c == 0x309A;
  if (c >= 0xAC00 && c <= 0xD7A3) return false;
  return !(c >= 0xFF01 && c <= 0xFF60);
}

std::string nfc_of(const std::string& text) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto flags = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const utf8proc_ssize_t n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                          static_cast<utf8proc_ssize_t>(text.size()), &mapped, flags);
  HADAL_CHECK(n >= 0, "NFC: ", utf8proc_errmsg(n));
  std::string out(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(n));
  std::free(mapped);
  return out;
}

/// Writes lines without white space at their ends and without runs of empty lines.
class LineWriter {
 public:
  explicit LineWriter(std::size_t size) { out_.reserve(size); }

  void append(std::string_view text) { out_ += text; }
  void end_line() {
    strip();
    // Two line breaks are one empty line; more, and those at the start, say nothing.
    if (!out_.empty() && !out_.ends_with("\n\n")) out_ += '\n';
    line_begin_ = out_.size();
  }
  std::string finish() {
    strip();
    while (!out_.empty() && out_.back() == '\n') out_.pop_back();
    return std::move(out_);
  }

 private:
  void strip() {
    while (out_.size() > line_begin_ && (out_.back() == ' ' || out_.back() == '\t')) out_.pop_back();
  }
  std::string out_;
  std::size_t line_begin_ = 0;
};

}  // namespace

Result<std::string> clean_text(std::string_view text, const CleanOptions& options) {
  LineWriter out(text.size());
  std::size_t ill_formed = 0;
  const char* ill_formed_end = nullptr;
  bool needs_nfc = false;
  const char *p = text.data(), *const end = p + text.size();
  while (p < end) {
    const char* run = p;
    while (p < end && *p >= 0x20 && *p < 0x7F) ++p;  // ASCII, most of the time
    if (p > run) out.append({run, static_cast<std::size_t>(p - run)});
    if (p == end) break;
    const CodePoint c = decode_utf8(p, end);
    if (c.length == 0 || c.value == 0) {
      if (p != ill_formed_end) out.append("\uFFFD");  // one mark for each ill-formed stretch
      ++ill_formed;
      ill_formed_end = ++p;
      continue;
    }
    if (c.value == '\n' || is_line_end(c.value)) {
      out.end_line();
    } else if (c.value == '\r') {
      if (p + 1 == end || p[1] != '\n') out.end_line();
    } else if (!(options.remove_control && is_control(c.value)) &&
               !(options.remove_zero_width && is_zero_width(c.value))) {
      out.append({p, static_cast<std::size_t>(c.length)});
      needs_nfc = needs_nfc || may_need_nfc(c.value);
    }
    p += c.length;
  }
  const double share = text.empty() ? 0.0 : static_cast<double>(ill_formed) / static_cast<double>(text.size());
  if (share > options.max_ill_formed_share)
    return Failure{fmt::format("{:.3f} of its bytes are no UTF-8 or NUL", share)};
  std::string cleaned = out.finish();
  return options.nfc && needs_nfc ? nfc_of(cleaned) : std::move(cleaned);
}

}  // namespace hadal
