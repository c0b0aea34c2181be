#pragma once
// One text, made uniform: well-formed UTF-8, one kind of line end, no invisible characters.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace hadal {

struct CleanOptions {
  bool nfc = true;
  bool remove_zero_width = true;
  bool remove_control = true;
  double max_ill_formed_share = 0.01;
  template <class V>
  void visit(V&& v) {
    v("nfc", nfc, "Unicode normalisation form C");
    v("remove_zero_width", remove_zero_width,
      "remove zero-width spaces, word joiners, byte order marks, soft hyphens and direction marks");
    v("remove_control", remove_control, "remove control characters other than tabs and line breaks");
    v("max_ill_formed_share", max_ill_formed_share,
      "drop documents with a larger share of bytes that are no UTF-8 or NUL; below it each becomes U+FFFD");
  }
};

/// The cleaned text: line ends CRLF, CR, U+0085, U+2028 and U+2029 as \n, no white space at the ends of lines, at most
/// one empty line between two others, none at both ends. The joiners U+200C and U+200D stay: Persian, Indic scripts and
/// emoji mean something by them. A Failure says what share of the text is no text.
Result<std::string> clean_text(std::string_view text, const CleanOptions& options);

}  // namespace hadal
