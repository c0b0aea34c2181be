#include "analysis/bench/cmd_bench.h"

#include <array>

#include "base/command.h"

namespace hadal {

int cmd_bench(Args args) {
  static constexpr std::array kCommands{
      Command{"attention", "attention: training shapes and decode", bench_attention},
      Command{"batch", "decoding of several sequences at once", bench_batch},
      Command{"decode", "decoding of one sequence, over caches of several lengths", bench_decode},
      Command{"gemm", "matrix products: dense, over experts, FP8", bench_gemm},
      Command{"prefill", "prompts of several lengths", bench_prefill},
      Command{"tokenizer", "encode and decode of text", bench_tokenizer},
      Command{"train", "whole training steps on random tokens", bench_train},
  };
  return run_command("hadal bench", kCommands, args);
}

}  // namespace hadal
