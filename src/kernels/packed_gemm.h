#pragma once
// y = x W^T with weights that were rearranged once for many products, as an inference engine has them. Equal bit for
// bit to gemm_nt on the same instruction set.
#include "kernels/exec.h"

namespace hadal::kernels {

/// E stacked matrices W [rows, cols], in the order in which the kernels of one instruction set read them.
struct PackedWeights {
  DType dtype = DType::kF32;  // kF32 or kBF16 (kF64: reference)
  index_t num_matrices = 0, rows = 0, cols = 0;
  const KernelTable* table = nullptr;  // of the Exec that packed them, the only one that can read them
  Storage data;
};

/// w_ExFD: num_matrices * F rows.
PackedWeights pack_weights(Exec& ex, ConstView w_ExFD, index_t num_matrices = 1);

/// y_SF (write) x_SD W^T. x has the dtype of the weights; y: f32 or bf16. Rows are grouped as in grouped_gemm_nt.
void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write = Write::kAssign);

}  // namespace hadal::kernels
