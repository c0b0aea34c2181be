#pragma once
#include <cstdint>

#include "base/parallel.h"
#include "formats/token_shard.h"

namespace hadal {

/// Fill-in-the-middle. A share of the documents becomes, prefix-suffix-middle (DeepSeek-V3 report 4.1),
///   <fim_begin> prefix <fim_hole> suffix <fim_end> middle
/// or, suffix-prefix-middle (Bavarian et al. 2022, the variant that shares its layout with the one above),
///   <fim_begin> <fim_hole> suffix <fim_end> prefix middle
/// Both cuts are uniform over token borders; all is a function of (seed, document). In both layouts the text is what
/// stands before the hole, behind the end, between hole and end, in this order.
struct FimOptions {
  double rate = 0, spm_share = 0;
  int begin_id = -1, hole_id = -1, end_id = -1;
  template <class V>
  void visit(V&& v) {
    v("rate", rate, "share of documents that become fill-in-the-middle (V3: 0.1)");
    v("spm_share", spm_share, "share of these in suffix-prefix-middle order; the rest is prefix-suffix-middle");
  }
};

/// How one document is laid out.
struct FimLayout {
  index_t length = 0;              // of the original
  index_t cut_a = -1, cut_b = -1;  // the middle is [cut_a, cut_b)
  FimKind kind = FimKind::kNone;
  bool active() const { return kind != FimKind::kNone; }
  index_t output_length() const { return active() ? length + 3 : length; }
  /// What stands at `place` of the output: >= 0, an index into the original; -1, -2, -3: begin, hole, end.
  index_t source(index_t place) const;
};

/// Documents of fewer than two tokens are never cut.
FimLayout fim_layout(const FimOptions& options, std::uint64_t seed, index_t document, index_t length);

}  // namespace hadal
