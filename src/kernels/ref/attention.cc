#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/coded_rows.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {
namespace {

double value(double v) {
  return v;
}
double value(float v) {
  return v;
}
double value(bf16 v) {
  return to_f32(v);
}
void assign(double& to, double v) {
  to = v;
}
void assign(float& to, double v) {
  to = static_cast<float>(v);
}
void assign(bf16& to, double v) {
  to = to_bf16(static_cast<float>(v));
}

/// Value d of a head, also of a row in 8 bits (coded_rows.h), there rounded to T.
template <class T>
double element(const ConstHeads& from, index_t row, index_t head, index_t d) {
  if constexpr (!std::is_same_v<T, double>) {
    if (is_coded(from.dtype)) {
      const std::byte* codes = from.data + row * from.row_stride;
      const index_t at = head * from.dim + d;
      float scale;
      std::memcpy(&scale, codes + coded_scales_at(from.heads * from.dim) + at / kCodedGroup * 4, 4);
      const auto bits = static_cast<std::uint8_t>(codes[at]);
      const float v =
          (from.dtype == DType::kE4M3 ? to_f32(e4m3{bits}) : static_cast<float>(static_cast<std::int8_t>(bits))) *
          scale;
      T rounded;
      assign(rounded, static_cast<double>(v));
      return value(rounded);
    }
  }
  return value(from.at<T>(row, head)[d]);
}

/// One query row of one head and the keys that it sees. Sums are in f64 for every dtype.
template <class T>
struct Row {
  const AttentionInputs& in;
  const AttentionSegment& segment;
  index_t q_row, head, k_num;

  Row(const AttentionInputs& inputs, const AttentionSegment& s, index_t i, index_t h)
      : in(inputs), segment(s), q_row(s.q_begin + i), head(h), k_num(s.k_len - s.q_len + i + 1) {}

  index_t k_row(index_t j) const { return segment.key_row(j); }
  index_t k_head() const { return head * in.k.heads / in.q.heads; }
  index_t own_dim() const { return in.q.dim - (in.k_shared.empty() ? 0 : in.k_shared.dim); }
  double key_part(index_t j, index_t d) const {
    const index_t row = k_row(j);
    return d < own_dim() ? element<T>(in.k, row, k_head(), d) : element<T>(in.k_shared, row, 0, d - own_dim());
  }

  std::vector<double> scores() const {
    std::vector<double> s(static_cast<std::size_t>(k_num));
    const T* q = in.q.at<T>(q_row, head);
    for (index_t j = 0; j < k_num; ++j) {
      double sum = 0;
      for (index_t d = 0; d < in.q.dim; ++d) sum += value(q[d]) * key_part(j, d);
      s[static_cast<std::size_t>(j)] = sum * in.scale;
    }
    return s;
  }
};

template <class T, class Stat>
void forward(Heads out, View lse_HT, const AttentionInputs& in) {
  for (const AttentionSegment& segment : in.segments) {
    for (index_t h = 0; h < in.q.heads; ++h) {
      for (index_t i = 0; i < segment.q_len; ++i) {
        const Row<T> row(in, segment, i, h);
        std::vector<double> p = row.scores();
        const double top = *std::max_element(p.begin(), p.end());
        double norm = 0;
        for (double& s : p) norm += s = std::exp(s - top);
        if (!lse_HT.empty()) lse_HT.as<Stat>()(h, row.q_row) = static_cast<Stat>(top + std::log(norm));
        T* y = out.at<T>(row.q_row, h);
        for (index_t u = 0; u < in.v.dim; ++u) {
          double sum = 0;
          for (index_t j = 0; j < row.k_num; ++j)
            sum += p[static_cast<std::size_t>(j)] * element<T>(in.v, row.k_row(j), row.k_head(), u);
          assign(y[u], sum / norm);
        }
      }
    }
  }
}

template <class T>
void write(Heads to, index_t first_row, index_t rows, const std::vector<double>& from, index_t from_dim) {
  for (index_t j = 0; j < rows; ++j)
    for (index_t h = 0; h < to.heads; ++h)
      for (index_t d = 0; d < to.dim; ++d)
        assign(to.at<T>(first_row + j, h)[d], from[static_cast<std::size_t>((j * to.heads + h) * from_dim + d)]);
}

template <class T, class Stat>
void backward(const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT,
              const AttentionInputs& in) {
  const index_t dim = in.q.dim, dim_v = in.v.dim, heads_k = in.k.heads;
  for (const AttentionSegment& segment : in.segments) {
    const auto size = [](index_t n) { return static_cast<std::size_t>(n); };
    std::vector<double> dk(size(segment.k_len * heads_k * dim)), dv(size(segment.k_len * heads_k * dim_v)),
        dq(size(dim));
    std::vector<double> dk_shared(size(segment.k_len * grads.dk_shared.dim));
    for (index_t h = 0; h < in.q.heads; ++h) {
      for (index_t i = 0; i < segment.q_len; ++i) {
        const Row<T> row(in, segment, i, h);
        const std::vector<double> s = row.scores();
        const double lse = lse_HT.as<Stat>()(h, row.q_row);
        const T* q = in.q.at<T>(row.q_row, h);
        const T* dy = dout.at<T>(row.q_row, h);
        const T* y = out.at<T>(row.q_row, h);
        double delta = 0;
        for (index_t u = 0; u < dim_v; ++u) delta += value(dy[u]) * value(y[u]);
        std::fill(dq.begin(), dq.end(), 0.0);
        for (index_t j = 0; j < row.k_num; ++j) {
          const double p = std::exp(s[size(j)] - lse);
          const T* v = in.v.at<T>(row.k_row(j), row.k_head());
          double dp = 0;
          for (index_t u = 0; u < dim_v; ++u) {
            dp += value(dy[u]) * value(v[u]);
            dv[size((j * heads_k + row.k_head()) * dim_v + u)] += p * value(dy[u]);
          }
          const double ds = p * (dp - delta) * in.scale;
          for (index_t d = 0; d < dim; ++d) {
            dq[size(d)] += ds * row.key_part(j, d);
            if (d < row.own_dim())
              dk[size((j * heads_k + row.k_head()) * dim + d)] += ds * value(q[d]);
            else
              dk_shared[size(j * grads.dk_shared.dim + d - row.own_dim())] += ds * value(q[d]);
          }
        }
        for (index_t d = 0; d < dim; ++d) assign(grads.dq.at<T>(row.q_row, h)[d], dq[size(d)]);
      }
    }
    if (!grads.dk.empty()) write<T>(grads.dk, segment.k_begin, segment.k_len, dk, dim);
    write<T>(grads.dv, segment.k_begin, segment.k_len, dv, dim_v);
    if (!grads.dk_shared.empty())
      write<T>(grads.dk_shared, segment.k_begin, segment.k_len, dk_shared, grads.dk_shared.dim);
  }
}

}  // namespace

void attention_forward(Exec&, Heads out, View lse_HT, const AttentionInputs& in) {
  switch (in.q.dtype) {
    case DType::kF64:
      return forward<double, double>(out, lse_HT, in);
    case DType::kF32:
      return forward<float, float>(out, lse_HT, in);
    case DType::kBF16:
      return forward<bf16, float>(out, lse_HT, in);
    default:
      fail("attention: not for ", dtype_name(in.q.dtype));
  }
}

void attention_backward(Exec&, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT,
                        const AttentionInputs& in) {
  switch (in.q.dtype) {
    case DType::kF64:
      return backward<double, double>(grads, dout, out, lse_HT, in);
    case DType::kF32:
      return backward<float, float>(grads, dout, out, lse_HT, in);
    case DType::kBF16:
      return backward<bf16, float>(grads, dout, out, lse_HT, in);
    default:
      fail("attention: not for ", dtype_name(in.q.dtype));
  }
}

}  // namespace hadal::kernels::ref
