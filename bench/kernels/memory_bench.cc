// Kernels that move more memory than they compute: time, bytes per second, and the share of what plain loops over as
// many bytes reach in the same minute. Bytes are what the operation must read and write, once.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/table.h"

namespace hadal {
namespace {

/// Seconds that count: of the calling thread alone when it works alone, so that other processes on the machine add
/// nothing.
double now(const ThreadPool& pool) {
  timespec t{};
  clock_gettime(pool.num_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// The best of many short samples: other processes on the machine only ever add time.
double best_seconds(const ThreadPool& pool, const std::function<void()>& run, index_t bytes) {
  const index_t repeats = std::max<index_t>(1, (index_t{4} << 20) / std::max<index_t>(bytes, 1));
  double best = 1e9;
  const double begin = now(pool);
  run();
  for (int i = 0; i < 400 && (i < 12 || now(pool) - begin < 0.2); ++i) {
    const double start = now(pool);
    for (index_t r = 0; r < repeats; ++r) run();
    best = std::min(best, (now(pool) - start) / static_cast<double>(repeats));
  }
  return best;
}

typedef float Wide __attribute__((vector_size(64), aligned(64)));

#if defined(__x86_64__)  // a machine without AVX-512 needs another roof
[[gnu::target("avx512f")]]
#endif
void update(float* x, index_t n) {
  for (index_t i = 0; i < n; i += 16) *reinterpret_cast<Wide*>(x + i) *= 1.0001F;
}
#if defined(__x86_64__)  // a machine without AVX-512 needs another roof
[[gnu::target("avx512f")]]
#endif
float total(const float* x, index_t n) {
  Wide a = {}, b = {}, c = {}, d = {};
  for (index_t i = 0; i + 64 <= n; i += 64) {
    a += *reinterpret_cast<const Wide*>(x + i);
    b += *reinterpret_cast<const Wide*>(x + i + 16);
    c += *reinterpret_cast<const Wide*>(x + i + 32);
    d += *reinterpret_cast<const Wide*>(x + i + 48);
  }
  const Wide sum = (a + b) + (c + d);
  return sum[0] + sum[7] + sum[15];
}

enum class Roof : std::uint8_t { kRead, kCopy, kUpdate };

/// Bytes per second of a plain loop that moves `bytes` in total.
double roof(Exec& ex, Roof kind, index_t bytes) {
  constexpr index_t kBlock = index_t{1} << 16;
  static Storage memory;
  if (memory.size() < bytes) memory = Storage(bytes + 2 * kBlock);
  auto* const x = reinterpret_cast<float*>(memory.data());
  // Copies and updates touch each byte twice.
  const index_t touched = kind == Roof::kRead ? bytes : bytes / 2;
  const index_t block = std::min(kBlock, std::max<index_t>(touched / 32 / 64 * 64, 256)), num = touched / block;
  const double seconds = best_seconds(
      ex.pool,
      [&] {
        ex.pool.parallel_for(num, [&](index_t task, int /*worker*/) {
          float* const at = x + task * block / 4;
          if (kind == Roof::kCopy) std::memcpy(at + num * block / 4, at, static_cast<std::size_t>(block));
          if (kind == Roof::kUpdate) update(at, block / 4);
          volatile float sink = 0;
          if (kind == Roof::kRead) sink = total(at, block / 4);
          static_cast<void>(sink);
        });
      },
      bytes);
  return static_cast<double>(num * block) * (kind == Roof::kRead ? 1 : 2) / seconds;
}

class Bench {
 public:
  Bench(Exec& ex, std::string filter) : ex_(ex), filter_(std::move(filter)) {}
  void operator()(const std::string& name, Roof kind, index_t bytes, const std::function<void()>& run) {
    if (name.find(filter_) == std::string::npos) return;
    // The machine is shared and its speed drifts: roof, kernel, roof.
    const double before = roof(ex_, kind, bytes),
                 rate = static_cast<double>(bytes) / best_seconds(ex_.pool, run, bytes);
    const double best = std::max(before, roof(ex_, kind, bytes));
    fmt::print("{:<44} {:>9.1f} us {:>7.1f} GB/s {:>5.0f}% of {:.1f} ({})\n", name,
               static_cast<double>(bytes) / rate * 1e6, rate * 1e-9, 100 * rate / best, best * 1e-9,
               kind == Roof::kRead   ? "read"
               : kind == Roof::kCopy ? "copy"
                                     : "update");
    std::fflush(stdout);
  }

 private:
  Exec& ex_;
  std::string filter_;
};

Tensor random_tensor(DType dtype, index_t rows, index_t cols, std::uint64_t seed = 1) {
  Tensor t(dtype, rows, cols);
  for (index_t i = 0; i < rows * cols; ++i) {
    const auto v = static_cast<float>(random_uniform(seed, Stream::kTest, static_cast<std::uint64_t>(i)) * 4 - 2);
    if (dtype == DType::kF32) reinterpret_cast<float*>(t.view().data)[i] = v;
    if (dtype == DType::kBF16) reinterpret_cast<bf16*>(t.view().data)[i] = to_bf16(v);
  }
  return t;
}
std::vector<int> random_ids(index_t n, index_t below, std::uint64_t seed = 2) {
  std::vector<int> ids(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int>(random_below(seed, Stream::kTest, i, static_cast<std::uint64_t>(below)));
  return ids;
}

void rowwise(Exec& ex, Bench& bench, index_t tokens, index_t cols, DType dtype) {
  const std::string shape = fmt::format("/{}x{}/{}", tokens, cols, dtype_name(dtype));
  const index_t row_set = bytes_of(dtype, tokens * cols);
  Tensor x = random_tensor(dtype, tokens, cols), y(dtype, tokens, cols), dx(dtype, tokens, cols),
         gain = random_tensor(DType::kF32, 1, cols);
  Tensor rstd = random_tensor(DType::kF32, 1, tokens), dgain(DType::kF32, 1, cols), wide(DType::kF32, tokens, cols);
  bench("rmsnorm_forward" + shape, Roof::kCopy, 2 * row_set,
        [&] { kernels::rmsnorm_forward(ex, y.view(), rstd.view(), x.view(), gain.view(), 1e-6F); });
  bench("rmsnorm_backward add" + shape, Roof::kCopy, 4 * row_set, [&] {
    kernels::rmsnorm_backward(ex, dx.view(), dgain.view(), y.view(), x.view(), gain.view(), rstd.view(), Write::kAdd);
  });
  Tensor gate_up = random_tensor(dtype, tokens, 2 * cols), dgate_up(dtype, tokens, 2 * cols);
  bench("swiglu_forward" + shape, Roof::kCopy, 3 * row_set,
        [&] { kernels::swiglu_forward(ex, y.view(), gate_up.view()); });
  bench("swiglu_backward" + shape, Roof::kCopy, 5 * row_set,
        [&] { kernels::swiglu_backward(ex, dgate_up.view(), y.view(), gate_up.view()); });
  bench("convert to f32" + shape, Roof::kCopy, row_set + 4 * tokens * cols,
        [&] { kernels::convert(ex, wide.view(), x.view()); });
  bench("convert add" + shape, Roof::kUpdate, 3 * row_set,
        [&] { kernels::convert(ex, y.view(), x.view(), Write::kAdd); });
  bench("bias_backward" + shape, Roof::kRead, row_set, [&] { kernels::bias_backward(ex, dgain.view(), x.view()); });
  Tensor table = random_tensor(dtype, 4096, cols), dtable(DType::kF32, 4096, cols);
  const std::vector<int> ids = random_ids(tokens, 4096);
  bench("embedding_forward" + shape, Roof::kCopy, 2 * row_set,
        [&] { kernels::embedding_forward(ex, y.view(), table.view(), ids); });
  bench("embedding_backward" + shape, Roof::kUpdate, row_set + 8 * tokens * cols,
        [&] { kernels::embedding_backward(ex, dtable.view(), x.view(), ids); });
  Tensor packed(DType::kE5M6, tokens, cols), scales(DType::kUE8M0, tokens, (cols + 127) / 128);
  const index_t packed_bytes = bytes_of(DType::kE5M6, tokens * cols);
  bench("e5m6_pack" + shape, Roof::kCopy, row_set + packed_bytes,
        [&] { kernels::e5m6_pack(ex, packed.view(), scales.view(), x.view()); });
  bench("e5m6_unpack" + shape, Roof::kCopy, row_set + packed_bytes,
        [&] { kernels::e5m6_unpack(ex, y.view(), packed.view(), scales.view()); });
}

void experts(Exec& ex, Bench& bench, index_t tokens, index_t cols, index_t num_experts, int num_chosen,
             const kernels::RouterPolicy& base) {
  const std::string shape = fmt::format("/{}x{}/E={} A={}/bf16", tokens, cols, num_experts, num_chosen);
  kernels::RouterPolicy policy = base;
  policy.num_experts_per_tok = num_chosen;
  Tensor logits = random_tensor(DType::kF32, tokens, num_experts), scores(DType::kF32, tokens, num_experts),
         weight(DType::kF32, tokens, num_chosen);
  Tensor bias = random_tensor(DType::kF32, 1, num_experts), dlogits(DType::kF32, tokens, num_experts);
  std::vector<int> index(static_cast<std::size_t>(tokens * num_chosen)), token(index.size()), slot(index.size());
  const kernels::RouterChoice choice{{index.data(), tokens, num_chosen, num_chosen}, weight.view(), scores.view()};
  bench("router_forward" + shape, Roof::kCopy, 8 * tokens * num_experts,
        [&] { kernels::router_forward(ex, choice, logits.view(), bias.view(), policy); });
  kernels::router_forward(ex, choice, logits.view(), bias.view(), policy);
  bench("router_backward" + shape, Roof::kCopy, 12 * tokens * num_experts,
        [&] { kernels::router_backward(ex, dlogits.view(), weight.view(), logits.view(), choice, policy); });
  std::vector<index_t> offsets(static_cast<std::size_t>(num_experts) + 1);
  std::vector<index_t> begins = {0, tokens / 4, tokens / 2, tokens};
  bench("balance_loss" + shape, Roof::kRead, 12 * tokens * num_experts, [&] {
    kernels::balance_loss(ex, dlogits.view(), scores.view(), choice.index_TA, begins, {.sequence_alpha = 1e-4F}, 1);
  });
  const kernels::DispatchPlan plan{offsets, token, {slot.data(), tokens, num_chosen, num_chosen}};
  bench("dispatch_plan" + shape, Roof::kCopy, 12 * tokens * num_chosen,
        [&] { kernels::dispatch_plan(ex, plan, choice.index_TA, num_experts); });
  kernels::dispatch_plan(ex, plan, choice.index_TA, num_experts);
  const index_t slots = tokens * num_chosen, row = bytes_of(DType::kBF16, cols);
  Tensor x = random_tensor(DType::kBF16, tokens, cols), y(DType::kBF16, tokens, cols),
         expert_out = random_tensor(DType::kBF16, slots, cols);
  Tensor gathered(DType::kBF16, slots, cols), dweight(DType::kF32, tokens, num_chosen);
  bench("dispatch_gather" + shape, Roof::kCopy, 2 * slots * row,
        [&] { kernels::dispatch_gather(ex, gathered.view(), x.view(), plan); });
  bench("dispatch_gather_backward" + shape, Roof::kCopy, (slots + 2 * tokens) * row,
        [&] { kernels::dispatch_gather_backward(ex, y.view(), gathered.view(), plan); });
  bench("combine" + shape, Roof::kCopy, (slots + 2 * tokens) * row,
        [&] { kernels::combine(ex, y.view(), expert_out.view(), weight.view(), plan); });
  bench("combine_backward" + shape, Roof::kCopy, (2 * slots + tokens) * row, [&] {
    kernels::combine_backward(ex, gathered.view(), dweight.view(), x.view(), expert_out.view(), weight.view(), plan);
  });
}

void parameters(Exec& ex, Bench& bench, index_t n, DType moments) {
  const std::string shape = fmt::format("/{}M/{}", n / 1000000, dtype_name(moments));
  Tensor master(DType::kF32, 1, n), grad(DType::kF32, 1, n), m(moments, 1, n), v(moments, 1, n),
      value(DType::kBF16, 1, n);
  kernels::AdamWConfig config;
  const index_t read = 8 * n + 2 * bytes_of(moments, n), written = read + 2 * n;
  bench("adamw_step" + shape, Roof::kUpdate, read + written,
        [&] { kernels::adamw_step(ex, master.view(), value.view(), grad.view(), m.view(), v.view(), config, true); });
  bench("sum_of_squares" + shape, Roof::kRead, 4 * n, [&] { kernels::sum_of_squares(ex, grad.view()); });
  bench("ema_update" + shape, Roof::kUpdate, 12 * n,
        [&] { kernels::ema_update(ex, master.view(), grad.view(), 0.999); });
}

void loss(Exec& ex, Bench& bench, index_t tokens, index_t vocab_size) {
  Tensor logits = random_tensor(DType::kF32, tokens, vocab_size), dlogits(DType::kBF16, tokens, vocab_size),
         loss_T(DType::kF32, 1, tokens);
  const std::vector<int> targets = random_ids(tokens, vocab_size);
  bench(fmt::format("cross_entropy/{}x{}/f32 to bf16", tokens, vocab_size), Roof::kCopy, 6 * tokens * vocab_size,
        [&] { kernels::cross_entropy(ex, loss_T.view(), dlogits.view(), logits.view(), targets, 1, {}); });
}

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  using namespace hadal;
  // memory_bench [THREADS [PART-OF-NAME]]
  ThreadPool pool(argc > 1 ? std::stoi(argv[1]) : 0);
  Exec ex(pool);
  Bench bench(ex, argc > 2 ? argv[2] : "");
  for (const index_t cols : {256, 512})
    for (const DType dtype : {DType::kBF16, DType::kF32}) rowwise(ex, bench, 2048, cols, dtype);
  const kernels::RouterPolicy v3{kernels::ScoringFunc::kSigmoid, kernels::TopkMethod::kNoauxTc, 1, 1, 2, true, 2.5F};
  kernels::RouterPolicy v3_groups = v3;
  v3_groups.n_group = 8, v3_groups.topk_group = 4;
  experts(ex, bench, 2048, 256, 16, 2, v3);
  experts(ex, bench, 2048, 512, 32, 4, v3);
  experts(ex, bench, 2048, 512, 256, 8, v3_groups);
  loss(ex, bench, 64, 4096);
  loss(ex, bench, 2048, 4096);
  loss(ex, bench, 128, 102400);
  parameters(ex, bench, 12000000, DType::kF32);
  parameters(ex, bench, 12000000, DType::kBF16);
  parameters(ex, bench, 105000000, DType::kBF16);
}
