#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/cpu/intrinsics.h"
#include "kernels/int_group.h"
#include "kernels/packed_gemm.h"

#include "kernels/cpu/isa_begin.h"

#include "kernels/cpu/int_tile.h"

#include "kernels/cpu/gemm_streams.h"

#include "kernels/cpu/rows.h"

namespace {

template <DType kDType>
index_t panel_bytes(index_t cols) {
  return num_groups(kDType, cols) * IntFormat<kDType>::kBlockBytes;
}
/// Codes as kernels read them, from zero on: + 128, or + 8 in the lower halves of bytes.
template <DType kDType>
HADAL_INLINE std::uint8_t from_zero(std::int8_t code) {
  return static_cast<std::uint8_t>(kDType == DType::kI4 ? (code ^ 8) & 0xF : code ^ 0x80);
}
/// Four bytes; of 4 bits, four codes in the lower and the next four in the upper halves.
template <DType kDType>
HADAL_INLINE std::uint32_t word_of(const std::uint8_t* codes) {
  if constexpr (kDType == DType::kI4) {
    std::uint64_t eight;
    __builtin_memcpy(&eight, codes, sizeof eight);
    return static_cast<std::uint32_t>(eight | eight >> 28);
  } else {
    std::uint32_t four;
    __builtin_memcpy(&four, codes, sizeof four);
    return four;
  }
}

/// Quantises and packs some groups of a row, `count` values, to column c of their blocks.
template <DType kDType, class T>
HADAL_INLINE void pack_int_groups(std::byte* block, index_t c, const T* row, index_t count) {
  using F = IntFormat<kDType>;
  constexpr index_t kCodesOfWord = kDType == DType::kI4 ? 8 : 4;
  alignas(64) float buffer[kGroupsAtOnce * F::kGroup];
  alignas(64) std::int8_t codes[kGroupsAtOnce * F::kGroup];
  alignas(64) std::uint8_t bytes[kGroupsAtOnce * F::kGroup];
  float scales[kGroupsAtOnce];
  const index_t groups = num_groups(kDType, count);
  const float* x = buffer;
  if constexpr (std::is_same_v<T, float>) {
    if (count % F::kGroup == 0) x = row;
  }
  if (x == buffer) {
    std::memset(buffer + (groups - 1) * F::kGroup, 0, sizeof(float) * F::kGroup);
    for_vectors(count, [&](index_t i, auto lanes) { store(buffer + i, load(row + i, lanes), lanes); });
  }
  quantize_groups<kLanes>(kDType, codes, scales, x, groups);
  for (index_t i = 0; i < groups * F::kGroup; ++i) bytes[i] = from_zero<kDType>(codes[i]);
  for (index_t g = 0; g < groups; ++g, block += F::kBlockBytes) {
    auto* words = reinterpret_cast<std::uint32_t*>(block);
    for (index_t i = 0; i < F::kGroup; i += kCodesOfWord)
      words[i / kCodesOfWord * kIntPanel + c] = word_of<kDType>(bytes + g * F::kGroup + i);
    reinterpret_cast<f16*>(block + F::kCodeBytes)[c] = to_f16(scales[g]);
  }
}

/// Quantises and packs the panel of rows [first, first + kIntPanel) of W; rows beyond the last are zero. A few groups
/// of each row at a time: they are read in order, and what they are written to stays in the first cache.
template <DType kDType, class T>
void pack_int_panel(std::byte* panel, Mat<const T> w, index_t first) {
  using F = IntFormat<kDType>;
  constexpr index_t kValues = kGroupsAtOnce * F::kGroup;
  constexpr std::uint8_t kZero = kDType == DType::kI4 ? 0x88 : 0x80;
  const index_t rows = std::min<index_t>(kIntPanel, w.rows - first);
  for (index_t begin = 0; begin < w.cols; begin += kValues, panel += kGroupsAtOnce * F::kBlockBytes) {
    const index_t count = std::min(kValues, w.cols - begin);
    for (index_t g = 0; rows < kIntPanel && g < num_groups(kDType, count); ++g) {
      std::byte* block = panel + g * F::kBlockBytes;
      std::fill_n(block, F::kCodeBytes, std::byte{kZero});
      std::fill_n(block + F::kCodeBytes, F::kBlockBytes - F::kCodeBytes, std::byte{});
    }
    for (index_t c = 0; c < rows; ++c) pack_int_groups<kDType>(panel, c, w.row(first + c).data() + begin, count);
  }
}

HADAL_INLINE std::int32_t sum_of_codes(VecI v) {
#if defined(HADAL_ISA_IS_avx512)
  return _mm512_reduce_add_epi32(reinterpret_cast<__m512i>(v));
#else
  std::int32_t total = 0;
  for (int i = 0; i < kLanes; ++i) total += v[i];
  return total;
#endif
}

/// One row of activations as codes of 8 bits, zero up to whole groups.
template <class T>
void quantize_row(std::int8_t* codes, float* scales, std::int32_t* sums, const T* x, index_t count, index_t group) {
  for (index_t begin = 0; begin < count; begin += group, codes += group, ++scales, ++sums) {
    const index_t n = std::min(group, count - begin);
    Vec top = {};
    for_vectors(n, [&](index_t i, auto lanes) { top = max(abs(load(x + begin + i, lanes)), top); });
    const float most = max_of(top), inverse = inverse_scale(most);
    *scales = inverse == 0 ? 0 : most / 127;
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
    const Vec magic = splat(12582912.0F);
    VecI total = {};
    for_vectors(n, [&](index_t i, auto lanes) {
      const Vec shifted = load(x + begin + i, lanes) * inverse + magic;
      const VecI code = reinterpret_cast<VecI>(shifted) - reinterpret_cast<VecI>(magic);
      typedef std::int8_t VecC __attribute__((vector_size(kLanes)));
      const VecC narrow = __builtin_convertvector(code, VecC);
      total += code;
      __builtin_memcpy(codes + i, &narrow, sizeof narrow);  // beyond the end: zeros of the padding
    });
    for (index_t i = (n + kLanes - 1) / kLanes * kLanes; i < group; ++i) codes[i] = 0;
    *sums = sum_of_codes(total);
  }
}

/// Rows of codes that are multiplied by all columns of a task before the next ones: together with the panels of a task
/// they stay in the second cache.
constexpr index_t kSlabBytes = 256 * 1024;

template <DType kDType>
void multiply_int(Exec& ex, View y, ConstView x, const PackedWeights& w, std::span<const index_t> offsets,
                  Write write) {
  using F = IntFormat<kDType>;
  const index_t groups = num_groups(kDType, w.cols), first = offsets.front(), rows = offsets.back() - first;
  if (rows == 0 || w.rows == 0) return;
  // The rows as codes, for all tasks.
  const index_t code_bytes = divide_up(rows * groups * F::kGroup, 64) * 64;
  std::byte* memory = ex.scratch(-1, code_bytes + rows * groups * 8);
  auto* codes = reinterpret_cast<std::int8_t*>(memory);
  auto* scales = reinterpret_cast<float*>(memory + code_bytes);
  auto* sums = reinterpret_cast<std::int32_t*>(scales + rows * groups);
  const auto quantize = [&](index_t begin, index_t end) {
    for (index_t r = begin; r < end; ++r)
      with_type(x.dtype, [&](auto type) {
        using T = typename decltype(type)::type;
        quantize_row(codes + r * groups * F::kGroup, scales + r * groups, sums + r * groups, row_of<T>(x, first + r),
                     w.cols, F::kGroup);
      });
  };
  if (rows * w.cols <= kTaskElements)
    quantize(0, rows);
  else
    for_row_blocks(ex, rows, w.cols, [&](index_t begin, index_t end, int) { quantize(begin, end); });

  std::vector<GroupShape> shapes;
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) shapes.push_back({offsets[e + 1] - offsets[e], w.cols});
  const IntRows all{codes, scales, sums, groups, F::kGroup};
  const WeightStream weights{w.matrices, divide_up(w.rows, kIntPanel), panel_bytes<kDType>(w.cols)};
  for_tasks(ex, shapes, w.rows, w.cols / 4, weights, kIntPanel, [&](const Task& task, int) {
    const std::byte* matrix = w.matrices[static_cast<std::size_t>(task.group)];
    const index_t row0 = offsets[static_cast<std::size_t>(task.group)] + task.row;
    const index_t element = y.dtype == DType::kBF16 ? 2 : 4;
    const EvenSplit slabs(task.rows, kSlabBytes / std::max<index_t>(1, groups * F::kGroup), kIntRows);
    for (index_t slab = 0; slab < slabs.parts; ++slab) {
      const EvenSplit parts(slabs.size(slab), kIntRows, 1);
      for (index_t c = 0; c < task.columns; c += kIntPanel) {
        const index_t column = task.column + c;
        const std::byte* panel = matrix + column / kIntPanel * panel_bytes<kDType>(w.cols);
        Tile t;
        t.columns = std::min<index_t>(kIntPanel, task.columns - c);
        t.out_stride = t.before_stride = y.stride;
        t.bf16_out = y.dtype == DType::kBF16, t.bf16_add = t.bf16_out && write == Write::kAdd;
        for (index_t part = 0; part < parts.parts; ++part) {
          const index_t row = row0 + slabs.first(slab) + parts.first(part);
          t.out = y.data + (row * y.stride + column) * element;
          if (!t.bf16_out && write == Write::kAdd) t.before = static_cast<const float*>(t.out);
          int_tile_function<kDType>(parts.size(part))(t, all.from(row - first), panel);
        }
      }
    }
  });
}

}  // namespace

index_t packed_int_bytes(DType as, index_t rows, index_t cols) {
  return divide_up(rows, kIntPanel) *
         (as == DType::kI4 ? panel_bytes<DType::kI4>(cols) : panel_bytes<DType::kI8>(cols));
}

void pack_int_matrix(Exec& ex, std::byte* to, ConstView w, DType as) {
  const auto pack = [&]<DType kDType>() {
    ex.pool.parallel_for(divide_up(w.rows, kIntPanel), [&](index_t p, int) {
      std::byte* panel = to + p * panel_bytes<kDType>(w.cols);
      if (w.dtype == DType::kF32)
        pack_int_panel<kDType>(panel, w.as<float>(), p * kIntPanel);
      else
        pack_int_panel<kDType>(panel, w.as<bf16>(), p * kIntPanel);
    });
  };
  as == DType::kI4 ? pack.operator()<DType::kI4>() : pack.operator()<DType::kI8>();
}

void packed_int_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                        Write write) {
  if (w.dtype == DType::kI4)
    multiply_int<DType::kI4>(ex, y_SF, x_SD, w, offsets, write);
  else
    multiply_int<DType::kI8>(ex, y_SF, x_SD, w, offsets, write);
}

#include "kernels/cpu/isa_end.h"
