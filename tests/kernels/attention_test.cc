#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/table.h"

namespace hadal {
namespace {

using kernels::AttentionGrads;
using kernels::AttentionInputs;
using kernels::AttentionSegment;

struct Case {
  const char* name;
  index_t heads, key_heads, dk, shared, dv;
  std::vector<AttentionSegment> segments;
  float spread = 1;  // standard deviation of q
};

/// Rows of heads with a gap behind every head and every row, all of it filled.
struct Buffer {
  std::vector<std::byte> bytes;
  Heads heads;

  Buffer(DType dtype, index_t rows, index_t num_heads, index_t dim, std::uint64_t seed, double spread) {
    const index_t head_stride = dim + 3, row_stride = num_heads * head_stride + 5;
    bytes.resize(static_cast<std::size_t>(bytes_of(dtype, rows * row_stride)));
    heads = {bytes.data(), dtype, rows, num_heads, dim, row_stride, head_stride};
    for (index_t i = 0; i < rows * row_stride; ++i)
      set(i, spread * random_normal(seed, Stream::kTest, static_cast<std::uint64_t>(i)));
  }
  void set(index_t i, double v) {
    if (heads.dtype == DType::kF64) reinterpret_cast<double*>(bytes.data())[i] = v;
    if (heads.dtype == DType::kF32) reinterpret_cast<float*>(bytes.data())[i] = static_cast<float>(v);
    if (heads.dtype == DType::kBF16) reinterpret_cast<bf16*>(bytes.data())[i] = to_bf16(static_cast<float>(v));
  }
  double get(index_t i) const {
    if (heads.dtype == DType::kF64) return reinterpret_cast<const double*>(bytes.data())[i];
    if (heads.dtype == DType::kF32) return reinterpret_cast<const float*>(bytes.data())[i];
    return to_f32(reinterpret_cast<const bf16*>(bytes.data())[i]);
  }
  index_t at(index_t row, index_t head, index_t d) const {
    return row * heads.row_stride + head * heads.head_stride + d;
  }
};

/// Every operand of one case in one dtype.
struct Operands {
  const Case& c;
  Buffer q, k, k_shared, v, out, dout, dq, dk, dk_shared, dv;
  std::vector<double> lse;  // as f32 or f64

  static index_t query_rows(const Case& c) {
    index_t rows = 2;
    for (const AttentionSegment& s : c.segments) rows = std::max(rows, s.q_begin + s.q_len + 2);
    return rows;
  }
  static index_t key_rows(const Case& c) {
    index_t rows = 3;
    for (const AttentionSegment& s : c.segments) rows = std::max(rows, s.k_begin + s.k_len + 3);
    return rows;
  }
  Operands(const Case& of, DType dtype)
      : c(of),
        q(dtype, query_rows(c), c.heads, c.dk, 1, c.spread),
        k(dtype, key_rows(c), c.key_heads, c.dk - c.shared, 2, 1),
        k_shared(dtype, key_rows(c), 1, c.shared, 3, 1),
        v(dtype, key_rows(c), c.key_heads, c.dv, 4, 1),
        out(dtype, query_rows(c), c.heads, c.dv, 5, 1),
        dout(dtype, query_rows(c), c.heads, c.dv, 6, 1),
        dq(dtype, query_rows(c), c.heads, c.dk, 7, 1),
        dk(dtype, key_rows(c), c.key_heads, c.dk - c.shared, 8, 1),
        dk_shared(dtype, key_rows(c), 1, c.shared, 9, 1),
        dv(dtype, key_rows(c), c.key_heads, c.dv, 10, 1),
        lse(static_cast<std::size_t>(c.heads * query_rows(c)), -7) {}

  View lse_view() {
    const DType dtype = q.heads.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
    return {reinterpret_cast<std::byte*>(lse.data()), dtype, c.heads, q.heads.rows, q.heads.rows};
  }
  AttentionInputs inputs() const {
    AttentionInputs in{.q = q.heads, .k = k.heads, .k_shared = {}, .v = v.heads, .segments = c.segments};
    if (c.shared > 0) in.k_shared = k_shared.heads;
    in.scale = 1.0F / std::sqrt(static_cast<float>(c.dk));
    return in;
  }
  AttentionGrads grads() const {
    AttentionGrads g{.dq = dq.heads, .dk = dk.heads, .dk_shared = {}, .dv = dv.heads};
    if (c.shared > 0) g.dk_shared = dk_shared.heads;
    return g;
  }
  void forward(Exec& ex) { kernels::attention_forward(ex, out.heads, lse_view(), inputs()); }
  void backward(Exec& ex) { kernels::attention_backward(ex, grads(), dout.heads, out.heads, lse_view(), inputs()); }
};

std::vector<Case> cases() {
  return {
      {"one_key", 1, 1, 16, 0, 16, {{0, 1, 0, 1}}},
      {"odd", 2, 2, 15, 0, 17, {{1, 3, 2, 3}, {4, 127, 5, 127}}},
      {"shape_t", 4, 4, 48, 16, 32, {{0, 256, 0, 256}, {256, 100, 256, 100}}},
      {"mla_tiny", 3, 3, 24, 8, 16, {{2, 65, 1, 65}, {67, 64, 66, 64}, {140, 63, 140, 63}}},
      {"gqa", 8, 2, 33, 0, 31, {{0, 97, 0, 97}, {97, 1, 97, 1}, {98, 16, 98, 130}}},
      {"mqa", 5, 1, 20, 7, 9, {{3, 50, 0, 70}}},
      {"cached", 2, 1, 64, 0, 64, {{0, 17, 0, 333}, {17, 1, 333, 200}, {18, 2, 533, 1100}}},
      {"absorbed", 16, 1, 72, 8, 64, {{0, 1, 0, 300}, {1, 15, 300, 15}}},
      {"wide", 1, 1, 192, 64, 128, {{0, 40, 0, 100}}},
      {"large_scores", 2, 2, 32, 0, 16, {{0, 150, 0, 220}}, 200},
      {"alone", 12, 1, 40, 8, 70, {{1, 1, 2, 1000}}},
      {"alone_rows", 5, 1, 24, 8, 16, {{0, 3, 0, 500}}},
      {"alone_large_scores", 4, 1, 24, 0, 16, {{0, 3, 0, 400}}, 100},
      {"alone_long", 2, 1, 8, 0, 8, {{0, 1, 0, 25000}}},
      {"empty", 1, 1, 16, 0, 16, {{0, 0, 0, 0}, {0, 0, 0, 5}}},
  };
}

std::vector<Isa> isas() {
  std::vector<Isa> list;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512})
    if (isa <= best_isa()) list.push_back(isa);
  return list;
}

/// The norm of the difference over the norm, and equal bits outside the segments of the rows.
void expect_close(const Buffer& got, const Buffer& want, const Buffer& before, const std::vector<bool>& written,
                  double tolerance, const std::string& what) {
  double difference = 0, norm = 0;
  for (index_t i = 0; i < static_cast<index_t>(got.bytes.size()) / bytes_of(got.heads.dtype, 1); ++i) {
    const index_t row = i / got.heads.row_stride, head = i % got.heads.row_stride / got.heads.head_stride;
    const index_t d = i % got.heads.row_stride % got.heads.head_stride;
    if (!written[static_cast<std::size_t>(row)] || head >= got.heads.heads || d >= got.heads.dim) {
      ASSERT_EQ(got.get(i), before.get(i)) << what << ": touched row " << row << " head " << head << " channel " << d;
      continue;
    }
    ASSERT_TRUE(std::isfinite(got.get(i))) << what << " row " << row << " head " << head << " channel " << d;
    difference += std::pow(got.get(i) - want.get(i), 2);
    norm += std::pow(want.get(i), 2);
  }
  EXPECT_LE(std::sqrt(difference), tolerance * std::sqrt(norm) + 1e-6) << what;
}

class AttentionIsa : public testing::TestWithParam<std::tuple<Isa, DType>> {};

TEST_P(AttentionIsa, MatchesTheReference) {
  const auto [isa, dtype] = GetParam();
  ThreadPool pool(2);
  Exec ref(pool, Isa::kReference), ex(pool, isa);
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    Operands want(c, dtype), got(c, dtype);
    Operands before(c, dtype);
    const Mat<float> untouched_lse = before.lse_view().as<float>();
    want.forward(ref);
    got.forward(ex);
    std::vector<bool> queries(static_cast<std::size_t>(got.q.heads.rows)),
        keys(static_cast<std::size_t>(got.k.heads.rows));
    for (const AttentionSegment& s : c.segments) {
      for (index_t i = 0; i < s.q_len; ++i) queries[static_cast<std::size_t>(s.q_begin + i)] = true;
      for (index_t j = 0; j < s.k_len; ++j) keys[static_cast<std::size_t>(s.k_begin + j)] = true;
    }
    const bool half = dtype == DType::kBF16;
    // Scores of thousands keep few digits behind the point.
    const double tolerance = half ? 6e-3 : c.spread > 1 ? 2e-4 : 2e-6;
    expect_close(got.out, want.out, before.out, queries, tolerance, "out");
    const Mat<float> got_lse = got.lse_view().as<float>(), want_lse = want.lse_view().as<float>();
    for (index_t h = 0; h < c.heads; ++h) {
      for (index_t t = 0; t < got.q.heads.rows; ++t) {
        if (queries[static_cast<std::size_t>(t)])
          EXPECT_NEAR(got_lse(h, t), want_lse(h, t), 1e-5 * std::max(1.0F, std::abs(want_lse(h, t)))) << h << " " << t;
        else
          EXPECT_EQ(got_lse(h, t), untouched_lse(h, t));
      }
    }
    want.backward(ref);
    got.out.bytes = want.out.bytes;  // backward of the same forward
    got.lse = want.lse;
    got.backward(ex);
    expect_close(got.dq, want.dq, before.dq, queries, 2 * tolerance, "dq");
    expect_close(got.dk, want.dk, before.dk, keys, 2 * tolerance, "dk");
    expect_close(got.dk_shared, want.dk_shared, before.dk_shared, keys, 2 * tolerance, "dk_shared");
    expect_close(got.dv, want.dv, before.dv, keys, 2 * tolerance, "dv");
  }
}

TEST_P(AttentionIsa, ThreadsDoNotChangeBits) {
  const auto [isa, dtype] = GetParam();
  ThreadPool one_thread(1), two_threads(2);
  Exec one(one_thread, isa), two(two_threads, isa);
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    Operands a(c, dtype), b(c, dtype);
    a.forward(one);
    b.forward(two);
    EXPECT_EQ(a.out.bytes, b.out.bytes);
    EXPECT_EQ(a.lse, b.lse);
    a.backward(one);
    b.backward(two);
    EXPECT_EQ(a.dq.bytes, b.dq.bytes);
    EXPECT_EQ(a.dk.bytes, b.dk.bytes);
    EXPECT_EQ(a.dk_shared.bytes, b.dk_shared.bytes);
    EXPECT_EQ(a.dv.bytes, b.dv.bytes);
  }
}

// Keys in scattered pages of a larger cache give the bits of keys in a row.
TEST_P(AttentionIsa, PagesGiveTheSameBits) {
  const auto [isa, dtype] = GetParam();
  ThreadPool pool(2);
  constexpr index_t kPage = kernels::kAttentionPage;
  for (const Isa which : {isa, Isa::kReference}) {
    Exec ex(pool, which);
    for (const auto& [q_len, k_len] : {std::pair{1, 1}, {1, 96}, {3, 97}, {40, 300}, {150, 200}}) {
      const Case row{"row", 4, 1, 24, 8, 16, {{0, q_len, 0, k_len}}};
      const std::vector<int> pages = {5, 0, 3, 1};
      const Case paged{"paged", 4, 1, 24, 8, 16, {{0, q_len, 0, 6 * kPage}, {0, 0, 0, 6 * kPage}}};
      Operands a(row, dtype), b(paged, dtype);
      for (const auto& [from, to] : {std::pair{&a.k, &b.k}, {&a.k_shared, &b.k_shared}, {&a.v, &b.v}})
        for (index_t j = 0; j < k_len; ++j)
          for (index_t d = 0; d < from->heads.dim; ++d)
            to->set(to->at(index_t{pages[static_cast<std::size_t>(j / kPage)]} * kPage + j % kPage, 0, d),
                    from->get(from->at(j, 0, d)));
      b.q.bytes = a.q.bytes;
      a.forward(ex);
      const AttentionSegment segment{0, q_len, 0, k_len, pages};
      AttentionInputs in = b.inputs();
      in.segments = {&segment, 1};
      kernels::attention_forward(ex, b.out.heads, b.lse_view(), in);
      for (index_t t = 0; t < q_len; ++t)
        for (index_t h = 0; h < 4; ++h)
          for (index_t d = 0; d < 16; ++d)
            ASSERT_EQ(a.out.get(a.out.at(t, h, d)), b.out.get(b.out.at(t, h, d))) << q_len << " of " << k_len;
      const std::vector<int> outside = {5, 0, 3, 7};
      const AttentionSegment wrong{0, q_len, 0, k_len, outside};
      in.segments = {&wrong, 1};
      EXPECT_THROW(kernels::attention_forward(ex, b.out.heads, b.lse_view(), in), Error);
    }
  }
}

// A query's result does not depend on how many other queries come with it (prefill in pieces, packing of sequences).
TEST_P(AttentionIsa, QueriesInPiecesGiveTheSameBits) {
  const auto [isa, dtype] = GetParam();
  ThreadPool pool(1);
  Exec ex(pool, isa);
  const Case whole{"whole", 4, 2, 48, 16, 32, {{0, 200, 0, 200}}};
  const Case pieces{"pieces",
                    4,
                    2,
                    48,
                    16,
                    32,
                    {{0, 70, 0, 70}, {70, 1, 0, 71}, {71, 9, 0, 80}, {80, 101, 0, 181}, {181, 19, 0, 200}}};
  Operands a(whole, dtype), b(pieces, dtype);
  a.forward(ex);
  b.forward(ex);
  EXPECT_EQ(a.out.bytes, b.out.bytes);
  EXPECT_EQ(a.lse, b.lse);
}

TEST_P(AttentionIsa, NanInOneKeyReachesOnlyItsQueries) {
  const auto [isa, dtype] = GetParam();
  ThreadPool pool(1);
  Exec ex(pool, isa);
  const Case c{"nan", 2, 1, 24, 8, 16, {{0, 150, 0, 150}}};
  Operands a(c, dtype);
  a.k.set(a.k.at(100, 0, 3), std::nan(""));
  a.forward(ex);
  for (index_t t = 0; t < 150; ++t) EXPECT_EQ(std::isnan(a.out.get(a.out.at(t, 1, 5))), t >= 100) << t;
}

INSTANTIATE_TEST_SUITE_P(All, AttentionIsa,
                         testing::Combine(testing::ValuesIn(isas()), testing::Values(DType::kF32, DType::kBF16)),
                         [](const auto& test) {
                           return std::string(isa_name(std::get<0>(test.param))) + "_" +
                                  std::string(dtype_name(std::get<1>(test.param)));
                         });

TEST(Attention, ReferenceMatchesAHandComputedCase) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  const Case c{"hand", 1, 1, 1, 0, 1, {{0, 2, 0, 2}}};
  Operands a(c, DType::kF64);
  a.q.set(a.q.at(1, 0, 0), 2);
  a.k.set(a.k.at(0, 0, 0), 1);
  a.k.set(a.k.at(1, 0, 0), 3);
  a.v.set(a.v.at(0, 0, 0), 10);
  a.v.set(a.v.at(1, 0, 0), 20);
  a.forward(ex);
  const double weight = 1 / (1 + std::exp(-4.0));  // of the second key: its score is 6, the first one's 2
  EXPECT_DOUBLE_EQ(a.out.get(a.out.at(0, 0, 0)), 10);
  EXPECT_NEAR(a.out.get(a.out.at(1, 0, 0)), 10 + 10 * weight, 1e-12);
  EXPECT_NEAR(a.lse_view().as<double>()(0, 1), std::log(std::exp(6.0) + std::exp(2.0)), 1e-12);
}

TEST(Attention, ReferenceGradientMatchesDifferences) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  const Case c{"grad", 4, 2, 6, 2, 3, {{0, 3, 0, 5}, {4, 2, 6, 2}}};
  Operands a(c, DType::kF64);
  a.forward(ex);
  a.backward(ex);
  const auto loss = [&] {
    a.forward(ex);
    double sum = 0;
    for (const AttentionSegment& s : c.segments)
      for (index_t i = s.q_begin; i < s.q_begin + s.q_len; ++i)
        for (index_t h = 0; h < c.heads; ++h)
          for (index_t u = 0; u < c.dv; ++u) sum += a.out.get(a.out.at(i, h, u)) * a.dout.get(a.dout.at(i, h, u));
    return sum;
  };
  const auto check = [&](Buffer& x, const Buffer& dx, bool query_side, const char* name) {
    constexpr double kStep = 1e-5;
    for (const AttentionSegment& s : c.segments) {
      const index_t begin = query_side ? s.q_begin : s.k_begin, rows = query_side ? s.q_len : s.k_len;
      for (index_t row = begin; row < begin + rows; ++row) {
        for (index_t h = 0; h < x.heads.heads; ++h) {
          for (index_t d = 0; d < x.heads.dim; ++d) {
            const index_t i = x.at(row, h, d);
            const double x0 = x.get(i);
            x.set(i, x0 + kStep);
            const double up = loss();
            x.set(i, x0 - kStep);
            const double down = loss();
            x.set(i, x0);
            ASSERT_NEAR(dx.get(i), (up - down) / (2 * kStep), 1e-8)
                << name << " row " << row << " head " << h << " channel " << d;
          }
        }
      }
    }
  };
  check(a.q, a.dq, true, "q");
  check(a.k, a.dk, false, "k");
  check(a.k_shared, a.dk_shared, false, "k_shared");
  check(a.v, a.dv, false, "v");
}

TEST(Attention, RefusesWhatDoesNotFit) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  const auto expect_error = [&](const Case& c, const std::function<void(AttentionInputs&, Operands&)>& spoil) {
    Operands a(c, DType::kF32);
    AttentionInputs in = a.inputs();
    spoil(in, a);
    EXPECT_THROW(kernels::attention_forward(ex, a.out.heads, a.lse_view(), in), Error);
  };
  const Case c{"errors", 4, 2, 8, 4, 8, {{0, 3, 0, 5}}};
  expect_error(c, [](AttentionInputs& in, Operands&) { in.q.dim = 7; });
  expect_error(c, [](AttentionInputs& in, Operands&) { in.k.heads = 3; });
  expect_error(c, [](AttentionInputs& in, Operands&) { in.k_shared = {}; });
  expect_error(c, [](AttentionInputs& in, Operands&) { in.v.dtype = DType::kBF16; });
  expect_error(c, [](AttentionInputs& in, Operands&) { in.v.rows = 4; });
  expect_error(c, [](AttentionInputs&, Operands& a) { a.out.heads.dim = 7; });
  expect_error({"long", 4, 2, 8, 4, 8, {{0, 3, 0, 2}}}, [](AttentionInputs&, Operands&) {});
  expect_error({"shared", 4, 2, 8, 4, 8, {{0, 3, 0, 3}, {2, 3, 3, 3}}}, [](AttentionInputs&, Operands&) {});
  expect_error({"outside", 4, 2, 8, 4, 8, {{-1, 3, 0, 3}}}, [](AttentionInputs&, Operands&) {});
  const Case overlap{"overlap", 1, 1, 8, 0, 8, {{0, 3, 0, 3}, {3, 3, 2, 3}}};
  Operands a(overlap, DType::kF32);
  a.forward(ex);  // queries may share keys
  EXPECT_THROW(a.backward(ex), Error);
}

}  // namespace
}  // namespace hadal
