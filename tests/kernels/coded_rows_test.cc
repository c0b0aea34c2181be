// Rows of a cache in 8 bits: what they hold, and that attention reads from them what load_rows does.
#include "kernels/coded_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "kernels/attention.h"

namespace hadal {
namespace {

using kernels::coded_row_bytes;
using kernels::kAttentionPage;

Tensor random_rows(DType dtype, index_t rows, index_t cols, std::uint64_t seed) {
  Tensor t(dtype, rows, cols);
  for (index_t i = 0; i < rows * cols; ++i) {
    const auto v = static_cast<float>(random_normal(seed, Stream::kTest, static_cast<std::uint64_t>(i)));
    if (dtype == DType::kF32)
      t.view().as<float>().data[i] = v;
    else
      t.view().as<bf16>().data[i] = to_bf16(v);
  }
  return t;
}

float at(ConstView v, index_t r, index_t c) {
  return v.dtype == DType::kF32 ? v.as<float>()(r, c) : to_f32(v.as<bf16>()(r, c));
}

/// A cache of coded rows that begins as 0xAA everywhere.
struct Cache {
  Tensor bytes;
  View view;
  Cache(DType dtype, index_t rows, index_t cols) : bytes(dtype, rows, coded_row_bytes(cols)) {
    view = {bytes.view().data, dtype, rows, cols, coded_row_bytes(cols)};
    std::memset(view.data, 0xAA, static_cast<std::size_t>(rows * view.stride));
  }
};

TEST(CodedRows, ComeBackWithinHalfAStep) {
  ThreadPool pool(2);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > best_isa()) continue;
    Exec ex(pool, isa);
    for (const DType coded : {DType::kE4M3, DType::kI8})
      for (const DType dtype : {DType::kF32, DType::kBF16})
        for (const index_t cols : {1, 5, 127, 128, 129, 300}) {
          const Tensor x = random_rows(dtype, 3, cols, 1);
          Cache cache(coded, 9, cols);
          const std::vector<index_t> rows = {7, 2, 4};
          kernels::store_rows(ex, cache.view, rows, x.view());
          for (const index_t untouched : {0, 1, 3, 5, 6, 8})
            for (index_t i = 0; i < cache.view.stride; ++i)
              ASSERT_EQ(cache.view.data[untouched * cache.view.stride + i], std::byte{0xAA});
          Tensor back(dtype, 3, cols);
          kernels::load_rows(ex, back.view(), cache.view, rows);
          for (index_t r = 0; r < 3; ++r)
            for (index_t c = 0; c < cols; ++c) {
              float most = 0;
              for (index_t i = c / 128 * 128; i < std::min(cols, c / 128 * 128 + 128); ++i)
                most = std::max(most, std::fabs(at(x.view(), r, i)));
              const float v = at(x.view(), r, c), rounding = dtype == DType::kBF16 ? std::fabs(v) / 250 : 1e-6F;
              const float step = coded == DType::kI8 ? most / 127 : std::max(std::fabs(v) / 8, most / 448 / 256);
              ASSERT_NEAR(at(back.view(), r, c), v, step * 0.51F + rounding) << cols << " at " << r << ", " << c;
            }
        }
    Tensor zeros(DType::kF32, 1, 200), back(DType::kF32, 1, 200);
    Cache cache(DType::kI8, 1, 200);
    kernels::store_rows(ex, cache.view, std::vector<index_t>{0}, zeros.view());
    kernels::load_rows(ex, back.view(), cache.view, std::vector<index_t>{0});
    for (index_t c = 0; c < 200; ++c) EXPECT_EQ(back.view().as<float>()(0, c), 0);
  }
}

TEST(CodedRows, RefusesWhatDoesNotFit) {
  ThreadPool pool(1);
  Exec ex(pool);
  Cache cache(DType::kI8, 4, 64);
  Tensor x(DType::kF32, 2, 64), wide(DType::kF32, 2, 65);
  EXPECT_THROW(kernels::store_rows(ex, cache.view, std::vector<index_t>{1}, x.view()), Error);
  EXPECT_THROW(kernels::store_rows(ex, cache.view, std::vector<index_t>{1, 2}, wide.view()), Error);
  EXPECT_THROW(kernels::store_rows(ex, cache.view, std::vector<index_t>{1, 4}, x.view()), Error);
  View narrow = cache.view;
  narrow.stride = 64;
  EXPECT_THROW(kernels::store_rows(ex, narrow, std::vector<index_t>{1, 2}, x.view()), Error);
}

struct Shape {
  const char* name;
  index_t heads, key_heads, dim, shared, value_dim;  // value_dim 0: the keys' latent is the value too
};

// Attention over coded rows gives the bits of attention over the rows that load_rows makes of them.
TEST(CodedRows, AttentionReadsThem) {
  ThreadPool pool(2);
  constexpr index_t kPages = 4, kRows = kPages * kAttentionPage;
  for (const Isa isa : {Isa::kReference, Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > best_isa()) continue;
    Exec ex(pool, isa), plain(pool, isa == Isa::kReference ? Isa::kPortable : isa);
    for (const Shape& s :
         {Shape{"latent", 5, 1, 200, 16, 0}, Shape{"gqa", 4, 2, 72, 0, 24}, Shape{"mqa", 3, 1, 7, 0, 7}})
      for (const DType dtype : {DType::kF32, DType::kBF16})
        for (const DType coded : {DType::kE4M3, DType::kI8})
          for (const index_t q_len : {1, 3, 150}) {
            SCOPED_TRACE(
                str_cat(isa_name(isa), " ", s.name, " ", dtype_name(dtype), " ", dtype_name(coded), " ", q_len));
            if (isa == Isa::kReference && q_len > 3) continue;
            const index_t latent = s.dim, query = s.dim + s.shared, value = s.value_dim > 0 ? s.value_dim : s.dim;
            const auto make = [&](index_t cols, std::uint64_t seed, Cache& cache) {
              const Tensor x = random_rows(dtype, kRows, cols, seed);
              std::vector<index_t> all(static_cast<std::size_t>(kRows));
              std::iota(all.begin(), all.end(), 0);
              kernels::store_rows(plain, cache.view, all, x.view());
              Tensor wide(dtype, kRows, cols);
              kernels::load_rows(plain, wide.view(), cache.view, all);
              return wide;
            };
            Cache keys(coded, kRows, s.key_heads * latent), values(coded, kRows, s.key_heads * value);
            const Tensor wide_k = make(s.key_heads * latent, 1, keys), wide_v = make(s.key_heads * value, 2, values);
            const Tensor shared = random_rows(dtype, kRows, std::max<index_t>(s.shared, 1), 3);
            const Tensor q = random_rows(dtype, q_len, s.heads * query, 4);
            const std::vector<int> pages = {2, 0, 3};
            const kernels::AttentionSegment segment{0, q_len, 0, 250, pages};
            const auto run = [&](Tensor& out, ConstView k, ConstView v) {
              kernels::attention_forward(ex, heads_of(out.view(), s.heads), {},
                                         {.q = heads_of(q.view(), s.heads),
                                          .k = heads_of(k, s.key_heads),
                                          .k_shared = s.shared > 0 ? heads_of(shared.view(), 1) : ConstHeads{},
                                          .v = heads_of(v, s.key_heads),
                                          .segments = {&segment, 1},
                                          .scale = 0.2F});
            };
            Tensor want(dtype, q_len, s.heads * value), got(dtype, q_len, s.heads * value);
            if (s.value_dim > 0) {
              run(want, wide_k.view(), wide_v.view());
              run(got, keys.view, values.view);
            } else {
              run(want, wide_k.view(), wide_k.view());
              run(got, keys.view, keys.view);
            }
            ASSERT_EQ(std::memcmp(want.view().data, got.view().data,
                                  static_cast<std::size_t>(bytes_of(dtype, q_len * s.heads * value))),
                      0);
          }
  }
}

}  // namespace
}  // namespace hadal
