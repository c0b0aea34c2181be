#pragma once
#include <cstdint>

#include "base/parallel.h"

namespace hadal {

/// Fill-in-the-middle, prefix-suffix-middle (DeepSeek-V3 report 4.1): a share of the documents becomes
///   <fim_begin> prefix <fim_hole> suffix <fim_end> middle
/// Both cuts are uniform over token borders; all is a function of (seed, document).
struct FimOptions {
  double rate = 0;
  int begin_id = -1, hole_id = -1, end_id = -1;
  template <class V>
  void visit(V&& v) {
    v("rate", rate, "share of documents that become fill-in-the-middle (V3: 0.1)");
  }
};

/// How one document is laid out. cut_a == cut_b == -1: as it is.
struct FimLayout {
  index_t length = 0;  // of the original
  index_t cut_a = -1, cut_b = -1;
  bool active() const { return cut_a >= 0; }
  index_t output_length() const { return active() ? length + 3 : length; }
  /// What stands at `place` of the output: >= 0, an index into the original; -1, -2, -3: begin, hole, end.
  index_t source(index_t place) const;
};

/// Documents of fewer than two tokens are never cut.
FimLayout fim_layout(const FimOptions& options, std::uint64_t seed, index_t document, index_t length);

}  // namespace hadal
