#include "kernels/coded_rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/check.h"
#include "kernels/fp8.h"
#include "tensor/copy.h"

namespace hadal::kernels {
namespace {

constexpr index_t kRows = 16;  // of one task

template <class F>
void for_rows(Exec& ex, index_t num_rows, F f) {
  ex.pool.parallel_for((num_rows + kRows - 1) / kRows, [&](index_t task, int) {
    for (index_t t = task * kRows; t < std::min(num_rows, (task + 1) * kRows); ++t) f(t);
  });
}

std::byte* row_of(View v, index_t r) {
  return v.slice_rows(r, 1).data;
}
const std::byte* row_of(ConstView v, index_t r) {
  return v.slice_rows(r, 1).data;
}

void store_fp8(Exec& ex, View to, std::span<const index_t> rows, ConstView from) {
  const index_t tiles = fp8_tiles(from.cols), scale_at = (from.rows * from.cols + 3) / 4 * 4;
  std::byte* memory = ex.caller_scratch(scale_at + from.rows * tiles * 4);
  const Fp8 q{{memory, DType::kE4M3, from.rows, from.cols, from.cols},
              {reinterpret_cast<float*>(memory + scale_at), from.rows, tiles, tiles}};
  fp8_quantize_rows(ex, q, from, Scales::kF32);
  for (index_t t = 0; t < from.rows; ++t) {
    std::byte* row = row_of(to, rows[static_cast<std::size_t>(t)]);
    std::memcpy(row, row_of(q.codes, t), static_cast<std::size_t>(from.cols));
    std::memcpy(row + coded_scales_at(from.cols), q.scales.row(t).data(), static_cast<std::size_t>(tiles) * 4);
  }
}

template <class T>
void store_int8_row(std::byte* row, std::span<const T> x) {
  std::byte* scales = row + coded_scales_at(std::ssize(x));
  for (std::size_t begin = 0; begin < x.size(); begin += kCodedGroup, scales += 4) {
    const std::span<const T> group = x.subspan(begin, std::min<std::size_t>(kCodedGroup, x.size() - begin));
    const auto value = [](T v) {
      if constexpr (std::is_same_v<T, float>)
        return v;
      else
        return to_f32(v);
    };
    float most = 0;
    for (const T v : group) most = std::max(most, std::fabs(value(v)));
    const float scale = most / 127, inverse = most > 1e-30F ? 127 / most : 0;
    std::memcpy(scales, &scale, 4);
    for (std::size_t i = 0; i < group.size(); ++i)
      row[begin + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::nearbyint(value(group[i]) * inverse)));
  }
}

template <class T>
void load_row(std::span<T> to, const std::byte* row, const std::array<float, 256>& value) {
  const std::byte* scales = row + coded_scales_at(std::ssize(to));
  for (std::size_t begin = 0; begin < to.size(); begin += kCodedGroup, scales += 4) {
    float scale;
    std::memcpy(&scale, scales, 4);
    for (std::size_t i = begin; i < std::min<std::size_t>(to.size(), begin + kCodedGroup); ++i) {
      const float v = value[static_cast<std::size_t>(row[i])] * scale;
      if constexpr (std::is_same_v<T, float>)
        to[i] = v;
      else
        to[i] = to_bf16(v);
    }
  }
}

void check_rows(const char* name, ConstView cache, std::span<const index_t> rows, ConstView values) {
  HADAL_CHECK(std::ssize(rows) == values.rows && cache.cols == values.cols, name, ": ", rows.size(), " rows of ",
              cache.cols, " for [", values.rows, ", ", values.cols, "]");
  if (!is_coded(cache.dtype)) return;
  HADAL_CHECK(cache.stride >= coded_row_bytes(cache.cols), name, ": rows of ", cache.stride, " bytes, want ",
              coded_row_bytes(cache.cols));
  check_view(name, "values", values, values.rows, values.cols, {DType::kF32, DType::kBF16});
}

}  // namespace

void store_rows(Exec& ex, View to, std::span<const index_t> rows, ConstView from) {
  check_rows("store_rows", to, rows, from);
  if (to.dtype == DType::kE4M3) return store_fp8(ex, to, rows, from);
  if (to.dtype == DType::kI8)
    return for_rows(ex, from.rows, [&](index_t t) {
      std::byte* row = row_of(to, rows[static_cast<std::size_t>(t)]);
      if (from.dtype == DType::kF32)
        store_int8_row<float>(row, from.as<float>().row(t));
      else
        store_int8_row<bf16>(row, from.as<bf16>().row(t));
    });
  for (index_t t = 0; t < from.rows; ++t)
    copy_rows(to.slice_rows(rows[static_cast<std::size_t>(t)], 1), from.slice_rows(t, 1));
}

void load_rows(Exec& ex, View to, ConstView from, std::span<const index_t> rows) {
  check_rows("load_rows", from, rows, to);
  if (!is_coded(from.dtype)) {
    for (index_t t = 0; t < to.rows; ++t)
      copy_rows(to.slice_rows(t, 1), from.slice_rows(rows[static_cast<std::size_t>(t)], 1));
    return;
  }
  std::array<float, 256> value{};
  for (std::size_t i = 0; i < value.size(); ++i)
    value[i] = from.dtype == DType::kE4M3 ? to_f32(e4m3{static_cast<std::uint8_t>(i)})
                                          : static_cast<float>(static_cast<std::int8_t>(i));
  for_rows(ex, to.rows, [&](index_t t) {
    const std::byte* row = row_of(from, rows[static_cast<std::size_t>(t)]);
    if (to.dtype == DType::kF32)
      load_row<float>(to.as<float>().row(t), row, value);
    else
      load_row<bf16>(to.as<bf16>().row(t), row, value);
  });
}

}  // namespace hadal::kernels
