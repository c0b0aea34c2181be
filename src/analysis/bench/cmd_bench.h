#pragma once
#include "base/options.h"

namespace hadal {

/// hadal bench: speed against the machine's own measured roof.
int cmd_bench(Args args);

/// hadal bench attention: forward and backward of training shapes, decode.
int bench_attention(Args args);
/// hadal bench prefill, decode, batch: tokens/s of a model, with random weights when only a config is given.
int bench_prefill(Args args);
int bench_decode(Args args);
int bench_batch(Args args);
/// hadal bench gemm: dense, grouped and FP8 matrix products.
int bench_gemm(Args args);
/// hadal bench tokenizer: MB/s of encode and decode on given texts.
int bench_tokenizer(Args args);
/// hadal bench train: tokens/s of whole training steps (forward, backward, clip, AdamW) on random tokens.
int bench_train(Args args);

}  // namespace hadal
