#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "analysis/bench/cmd_bench.h"
#include "analysis/bench/harness.h"
#include "base/random.h"
#include "kernels/attention.h"

namespace hadal {
namespace {

struct AttentionBenchOptions {
  int threads = 0;
  bool json = false;
  std::string filter;
  template <class V>
  void visit(V&& v) {
    v("threads", threads, "0: all CPUs");
    v("json", json, "one JSON object per row");
    v("filter", filter, "only rows whose name holds this");
  }
};

/// Sequences of equal length. queries: per sequence, at its end; 0: all positions (training, prefill).
struct AttentionShape {
  const char* name;
  DType dtype;
  index_t sequences, length, queries, heads, key_heads, dk, shared, dv;
};

/// [rows, heads, dim] with random values.
struct RandomHeads {
  Tensor tensor;
  index_t heads;

  RandomHeads(DType dtype, index_t rows, index_t num_heads, index_t dim, std::uint64_t seed)
      : tensor(dtype, rows, num_heads * dim), heads(num_heads) {
    const index_t cols = num_heads * dim;
    for (index_t i = 0; i < rows * cols; ++i) {
      const auto x = static_cast<float>(random_uniform(seed, Stream::kTest, static_cast<std::uint64_t>(i)) * 2 - 1);
      if (dtype == DType::kF32)
        tensor.view().as<float>()(i / cols, i % cols) = x;
      else
        tensor.view().as<bf16>()(i / cols, i % cols) = to_bf16(x);
    }
  }
  Heads view() { return heads_of(tensor.view(), heads); }
};

void attention_rows(Exec& ex, const AttentionBenchOptions& o, const AttentionShape& s) {
  const index_t queries = s.queries > 0 ? s.queries : s.length;
  const std::string tail =
      fmt::format("/{}/{}x{}x{},h={}/{},d={}/{}/{}/{}/t={}", s.name, s.sequences, queries, s.length, s.heads,
                  s.key_heads, s.dk, s.dv, dtype_name(s.dtype), isa_name(ex.isa), ex.pool.num_threads());
  const std::string forward = "attention-fwd" + tail, backward = "attention-bwd" + tail;
  const bool wants_forward = forward.find(o.filter) != std::string::npos;
  const bool wants_backward = s.queries == 0 && backward.find(o.filter) != std::string::npos;
  if (!wants_forward && !wants_backward) return;

  const index_t rows = s.sequences * queries, keys = s.sequences * s.length, own = s.dk - s.shared;
  RandomHeads q(s.dtype, rows, s.heads, s.dk, 1), k(s.dtype, keys, s.key_heads, own, 2),
      v(s.dtype, keys, s.key_heads, s.dv, 3);
  RandomHeads shared(s.dtype, keys, 1, std::max<index_t>(s.shared, 1), 4), out(s.dtype, rows, s.heads, s.dv, 5);
  Tensor lse(DType::kF32, s.heads, rows);
  std::vector<kernels::AttentionSegment> segments;
  for (index_t i = 0; i < s.sequences; ++i) segments.push_back({i * queries, queries, i * s.length, s.length});
  kernels::AttentionInputs in{.q = q.view(), .k = k.view(), .k_shared = {}, .v = v.view(), .segments = segments};
  in.scale = 1.0F / std::sqrt(static_cast<float>(s.dk));
  if (s.shared > 0) in.k_shared = shared.view();

  // Only what the causal mask lets through counts.
  const double pairs = static_cast<double>(s.sequences * s.heads) * static_cast<double>(queries) *
                       (static_cast<double>(s.length) - (static_cast<double>(queries) - 1) / 2);
  const auto kind = s.dtype == DType::kF32 ? kernels::RoofKind::kF32 : kernels::RoofKind::kBF16;
  kernels::attention_forward(ex, out.view(), lse.view(), in);
  if (wants_forward) {
    BenchRow row = bench_compute(ex, forward, 2 * pairs * static_cast<double>(s.dk + s.dv), kind,
                                 [&] { kernels::attention_forward(ex, out.view(), lse.view(), in); });
    if (s.queries > 0) {  // decode reads every key and value once
      row.work = static_cast<double>(bytes_of(s.dtype, keys * (s.key_heads * (own + s.dv) + s.shared)));
      row.roof = kernels::measure_read_bandwidth(ex);
      row.unit = "B/s";
    }
    print_row(row, o.json);
  }
  if (!wants_backward) return;
  RandomHeads dout(s.dtype, rows, s.heads, s.dv, 6), dq(s.dtype, rows, s.heads, s.dk, 7),
      dk(s.dtype, keys, s.key_heads, own, 8);
  RandomHeads dv(s.dtype, keys, s.key_heads, s.dv, 9), dk_shared(s.dtype, keys, 1, std::max<index_t>(s.shared, 1), 10);
  kernels::AttentionGrads grads{.dq = dq.view(), .dk = dk.view(), .dk_shared = {}, .dv = dv.view()};
  if (s.shared > 0) grads.dk_shared = dk_shared.view();
  print_row(bench_compute(ex, backward, 2 * pairs * static_cast<double>(3 * s.dk + 2 * s.dv), kind,
                          [&] { kernels::attention_backward(ex, grads, dout.view(), out.view(), lse.view(), in); }),
            o.json);
}

}  // namespace

int bench_attention(Args args) {
  AttentionBenchOptions o;
  if (!parse_options(o, args, {.verb = "bench attention", .about = "attention against the machine's roof"})) return 0;
  ThreadPool pool(o.threads);
  Exec ex(pool);
  constexpr DType kHalf = DType::kBF16;
  for (const AttentionShape& s : {
           AttentionShape{"T", kHalf, 8, 256, 0, 4, 4, 48, 16, 32},
           {"M", kHalf, 4, 512, 0, 8, 8, 96, 32, 64},
           {"V3", kHalf, 1, 2048, 0, 8, 8, 192, 64, 128},
           {"gqa", kHalf, 1, 2048, 0, 32, 8, 128, 0, 128},
           {"M", DType::kF32, 4, 512, 0, 8, 8, 96, 32, 64},
           {"decode-mha", kHalf, 1, 4096, 1, 8, 8, 128, 0, 128},
           {"decode-gqa", kHalf, 1, 4096, 1, 32, 8, 128, 0, 128},
           {"decode-mla", kHalf, 1, 4096, 1, 16, 1, 576, 64, 512},
           {"rollouts", DType::kF32, 128, 64, 1, 4, 1, 80, 16, 64},
           {"rollouts", kHalf, 128, 64, 1, 4, 1, 80, 16, 64},
       })
    attention_rows(ex, o, s);
  return 0;
}

}  // namespace hadal
