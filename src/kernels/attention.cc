#include "kernels/attention.h"

#include <algorithm>
#include <vector>

#include "kernels/coded_rows.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

struct Range {
  index_t begin, len;
};

void check_disjoint(std::vector<Range> ranges, const char* what) {
  const auto before = [](const Range& a, const Range& b) { return a.begin < b.begin; };
  if (!std::is_sorted(ranges.begin(), ranges.end(), before)) std::sort(ranges.begin(), ranges.end(), before);
  index_t end = 0;
  for (const Range& r : ranges) {
    if (r.len == 0) continue;
    HADAL_CHECK(r.begin >= end, "attention: two segments share ", what, " row ", r.begin);
    end = r.begin + r.len;
  }
}

void check_heads(const char* name, const ConstHeads& got, DType dtype, index_t rows, index_t heads, index_t dim) {
  HADAL_CHECK(!got.empty() || rows == 0, "attention: ", name, " is missing");
  HADAL_CHECK(got.dtype == dtype, "attention: ", name, " is ", dtype_name(got.dtype), ", q is ", dtype_name(dtype));
  HADAL_CHECK(got.rows == rows && got.heads == heads && got.dim == dim, "attention: ", name, " is [", got.rows, ", ",
              got.heads, ", ", got.dim, "], want [", rows, ", ", heads, ", ", dim, "]");
}

void check_inputs(const AttentionInputs& in) {
  const DType dtype = in.q.dtype;
  HADAL_CHECK(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF64, "attention: q is ",
              dtype_name(dtype), ", want f32, bf16 or f64");
  HADAL_CHECK(in.q.heads > 0 && in.k.heads > 0 && in.q.heads % in.k.heads == 0, "attention: ", in.q.heads,
              " query heads do not divide into ", in.k.heads, " key heads");
  const auto cached = [&](const ConstHeads& heads) {
    if (!is_coded(heads.dtype)) return dtype;
    HADAL_CHECK(heads.row_stride >= coded_row_bytes(heads.heads * heads.dim) && heads.head_stride == heads.dim &&
                    dtype != DType::kF64,
                "attention: rows of ", heads.row_stride, " bytes hold no codes of ", heads.heads, " heads of ",
                heads.dim);
    return heads.dtype;
  };
  const index_t shared = in.k_shared.empty() ? 0 : in.k_shared.dim;
  HADAL_CHECK(in.q.dim > 0 && in.v.dim > 0 && in.q.dim >= shared, "attention: head sizes ", in.q.dim, " (q), ", shared,
              " (k_shared), ", in.v.dim, " (v)");
  check_heads("q", in.q, dtype, in.q.rows, in.q.heads, in.q.dim);
  if (in.q.dim > shared) check_heads("k", in.k, cached(in.k), in.k.rows, in.k.heads, in.q.dim - shared);
  if (!in.k_shared.empty()) check_heads("k_shared", in.k_shared, dtype, in.k.rows, 1, shared);
  check_heads("v", in.v, cached(in.v), in.k.rows, in.k.heads, in.v.dim);
  std::vector<Range> queries;
  for (const AttentionSegment& s : in.segments) {
    HADAL_CHECK(s.q_begin >= 0 && s.q_len >= 0 && s.q_len <= in.q.rows && s.q_begin <= in.q.rows - s.q_len,
                "attention: segment of queries [", s.q_begin, ", +", s.q_len, ") of ", in.q.rows);
    if (!s.pages.empty()) {
      HADAL_CHECK(s.k_len <= static_cast<index_t>(s.pages.size()) * kAttentionPage, "attention: ", s.k_len, " keys in ",
                  s.pages.size(), " pages");
      for (const int page : s.pages)
        HADAL_CHECK(page >= 0 && (index_t{page} + 1) * kAttentionPage <= in.k.rows, "attention: page ", page,
                    " of a cache of ", in.k.rows, " rows");
    } else {
      HADAL_CHECK(s.k_begin >= 0 && s.k_len >= 0 && s.k_len <= in.k.rows && s.k_begin <= in.k.rows - s.k_len,
                  "attention: segment of keys [", s.k_begin, ", +", s.k_len, ") of ", in.k.rows);
    }
    HADAL_CHECK(s.k_len >= s.q_len, "attention: segment of ", s.q_len, " queries has only ", s.k_len, " keys");
    queries.push_back({s.q_begin, s.q_len});
  }
  check_disjoint(std::move(queries), "query");
}

void check_lse(const ConstView& lse_HT, const AttentionInputs& in) {
  const DType dtype = in.q.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
  HADAL_CHECK(lse_HT.dtype == dtype && lse_HT.rows == in.q.heads && lse_HT.cols == in.q.rows, "attention: lse is ",
              dtype_name(lse_HT.dtype), " [", lse_HT.rows, ", ", lse_HT.cols, "], want ", dtype_name(dtype), " [",
              in.q.heads, ", ", in.q.rows, "]");
}

}  // namespace

void attention_forward(Exec& ex, Heads out, View lse_HT, const AttentionInputs& in) {
  check_inputs(in);
  check_heads("out", out, in.q.dtype, in.q.rows, in.q.heads, in.v.dim);
  if (!lse_HT.empty()) check_lse(lse_HT, in);
  ex.kernels.attention_forward(ex, out, lse_HT, in);
}

void attention_backward(Exec& ex, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT,
                        const AttentionInputs& in) {
  check_inputs(in);
  const DType dtype = in.q.dtype;
  HADAL_CHECK(!is_coded(in.k.dtype) && !is_coded(in.v.dtype), "attention: backward has no rows in 8 bits");
  check_heads("out", out, dtype, in.q.rows, in.q.heads, in.v.dim);
  check_heads("dout", dout, dtype, in.q.rows, in.q.heads, in.v.dim);
  HADAL_CHECK(!lse_HT.empty() || in.q.rows == 0, "attention: lse is missing");
  check_lse(lse_HT, in);
  check_heads("dq", grads.dq, dtype, in.q.rows, in.q.heads, in.q.dim);
  const index_t shared = in.k_shared.empty() ? 0 : in.k_shared.dim;
  if (in.q.dim > shared) check_heads("dk", grads.dk, dtype, in.k.rows, in.k.heads, in.k.dim);
  check_heads("dv", grads.dv, dtype, in.k.rows, in.k.heads, in.v.dim);
  HADAL_CHECK(grads.dk_shared.empty() == in.k_shared.empty(), "attention: only one of k_shared and dk_shared is given");
  if (!in.k_shared.empty()) check_heads("dk_shared", grads.dk_shared, dtype, in.k.rows, 1, shared);
  std::vector<Range> keys;
  for (const AttentionSegment& s : in.segments) {
    HADAL_CHECK(s.pages.empty(), "attention: backward has no pages");
    keys.push_back({s.k_begin, s.k_len});
  }
  check_disjoint(std::move(keys), "key");
  ex.kernels.attention_backward(ex, grads, dout, out, lse_HT, in);
}

}  // namespace hadal::kernels
