#pragma once
// y = x W^T with weights that were rearranged once for many products, as an inference engine has them.
//
// As f32 or bf16 the results are those of gemm_nt on the same instruction set, bit for bit. As kI8 or kI4 weights are
// integers with a scale in f16 for each 64 (kI8) or 32 (kI4) values of a row: 8.25 and 4.5 bits a weight. Activations
// are then rounded to integers of 8 bits in groups of the same size; the integers are summed exactly, the groups in
// f32. As kE4M3 weights are codes with a scale in f32 for each 128 values of a row, 8.25 bits a weight: codes are
// widened exactly and multiplied by activations as they are (bf16 or f32), the sum of each 128 products is multiplied
// by the scale and added up in f32. So code * scale is never rounded.
#include "kernels/fp8.h"

namespace hadal::kernels {

/// E stacked matrices W [rows, cols], in the order in which the kernels of one instruction set read them.
struct PackedWeights {
  DType dtype = DType::kF32;  // kF32, kBF16, kE4M3, kI8, kI4 (kF64: reference)
  index_t num_matrices = 0, rows = 0, cols = 0;
  const KernelTable* table = nullptr;  // of the Exec that packed them, the only one that can read them
  // Where each of the matrices begins (cache lines). nullptr: not in memory now, and no row may ask for it.
  std::vector<const std::byte*> matrices;
  Storage data;  // their memory, unless somebody else has it
};

inline bool is_int(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kI4;
}

/// Bytes of one packed matrix, whole cache lines.
index_t packed_bytes(const Exec& ex, DType as, index_t rows, index_t cols);
/// Rows of a piece of a matrix that can be packed on its own.
inline constexpr index_t kPackedRows = 128;
/// Packs one matrix to `to`: packed_bytes of them, at a cache line. w: f32 or bf16. `as`: the dtype of w, kE4M3
/// (128x128 blocks share a scale), kI8 or kI4. Also some of its rows from row r on, a multiple of kPackedRows, to where
/// packed_bytes of r rows end: only the last such piece may have another number of rows.
void pack_matrix(Exec& ex, std::byte* to, ConstView w_FD, DType as);
/// The same as kE4M3 of weights that are codes already, with a scale for each row and 128 columns: what a checkpoint
/// holds, bit for bit.
void pack_fp8_matrix(Exec& ex, std::byte* to, Fp8Const w_FD);

/// w_ExFD: num_matrices * F rows, f32 or bf16. `as`: as pack_matrix takes it.
PackedWeights pack_weights(Exec& ex, ConstView w_ExFD, index_t num_matrices, DType as);
inline PackedWeights pack_weights(Exec& ex, ConstView w_ExFD, index_t num_matrices = 1) {
  return pack_weights(ex, w_ExFD, num_matrices, w_ExFD.dtype);
}

/// y_SF (write) x_SD W^T. x has the dtype of the weights, with codes or integers f32 or bf16; y: f32 or bf16. Rows are
/// grouped as in grouped_gemm_nt. A row's result does not depend on the other rows.
void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write = Write::kAssign);

}  // namespace hadal::kernels
