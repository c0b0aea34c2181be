#pragma once
// The functions of the reference table (plain loops, one file per contract in kernels/ref/).
#include "kernels/table.h"

namespace hadal::kernels::ref {

decltype(kernels::grouped_gemm_nt) grouped_gemm_nt;
decltype(kernels::grouped_gemm_nn) grouped_gemm_nn;
decltype(kernels::grouped_gemm_tn) grouped_gemm_tn;
index_t packed_bytes(DType as, index_t rows, index_t cols);
void pack_matrix(Exec& ex, std::byte* to, ConstView w, DType as);
decltype(kernels::pack_fp8_matrix) pack_fp8_matrix;
decltype(kernels::packed_gemm_nt) packed_gemm_nt;
decltype(kernels::fp8_quantize_rows) fp8_quantize_rows;
decltype(kernels::fp8_quantize_columns) fp8_quantize_columns;
decltype(kernels::fp8_quantize_blocks) fp8_quantize_blocks;
decltype(kernels::fp8_gemm_nt) fp8_gemm_nt;
decltype(kernels::fp8_gemm_nn) fp8_gemm_nn;
decltype(kernels::fp8_gemm_tn) fp8_gemm_tn;
decltype(kernels::attention_forward) attention_forward;
decltype(kernels::attention_backward) attention_backward;
decltype(kernels::rope) rope;
decltype(kernels::rmsnorm_forward) rmsnorm_forward;
decltype(kernels::rmsnorm_backward) rmsnorm_backward;
decltype(kernels::swiglu_forward) swiglu_forward;
decltype(kernels::swiglu_backward) swiglu_backward;
decltype(kernels::router_forward) router_forward;
decltype(kernels::router_backward) router_backward;
decltype(kernels::dispatch_gather) dispatch_gather;
decltype(kernels::dispatch_gather_backward) dispatch_gather_backward;
decltype(kernels::combine) combine;
decltype(kernels::combine_backward) combine_backward;
decltype(kernels::cross_entropy) cross_entropy;
decltype(kernels::entropy) entropy;
decltype(kernels::log_prob_backward) log_prob_backward;
decltype(kernels::adamw_step) adamw_step;
decltype(kernels::sum_of_squares) sum_of_squares;
decltype(kernels::ema_update) ema_update;
decltype(kernels::convert) convert;
decltype(kernels::embedding_forward) embedding_forward;
decltype(kernels::embedding_backward) embedding_backward;
decltype(kernels::bias_forward) bias_forward;
decltype(kernels::bias_backward) bias_backward;
decltype(kernels::scale) scale;
decltype(kernels::e5m6_pack) e5m6_pack;
decltype(kernels::e5m6_unpack) e5m6_unpack;
decltype(kernels::roofline_work) roofline_work;

}  // namespace hadal::kernels::ref
