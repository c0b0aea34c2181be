#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {

extern const KernelTable kTable;
const KernelTable kTable = {
    .name = "reference",
    .grouped_gemm_nt = grouped_gemm_nt,
    .grouped_gemm_nn = grouped_gemm_nn,
    .grouped_gemm_tn = grouped_gemm_tn,
    .packed_bytes = packed_bytes,
    .pack_matrix = pack_matrix,
    .packed_gemm_nt = packed_gemm_nt,
    .fp8_quantize_rows = fp8_quantize_rows,
    .fp8_quantize_columns = fp8_quantize_columns,
    .fp8_quantize_blocks = fp8_quantize_blocks,
    .fp8_gemm_nt = fp8_gemm_nt,
    .fp8_gemm_nn = fp8_gemm_nn,
    .fp8_gemm_tn = fp8_gemm_tn,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .rope = rope,
    .rmsnorm_forward = rmsnorm_forward,
    .rmsnorm_backward = rmsnorm_backward,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
    .router_forward = router_forward,
    .router_backward = router_backward,
    .dispatch_gather = dispatch_gather,
    .dispatch_gather_backward = dispatch_gather_backward,
    .combine = combine,
    .combine_backward = combine_backward,
    .cross_entropy = cross_entropy,
    .adamw_step = adamw_step,
    .sum_of_squares = sum_of_squares,
    .ema_update = ema_update,
    .convert = convert,
    .embedding_forward = embedding_forward,
    .embedding_backward = embedding_backward,
    .bias_forward = bias_forward,
    .bias_backward = bias_backward,
    .scale = scale,
    .e5m6_pack = e5m6_pack,
    .e5m6_unpack = e5m6_unpack,
    .roofline_work = roofline_work,
};

}  // namespace hadal::kernels::ref
