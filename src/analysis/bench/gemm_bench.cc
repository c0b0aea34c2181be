#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/bench/cmd_bench.h"
#include "analysis/bench/harness.h"
#include "base/random.h"
#include "kernels/fp8.h"
#include "kernels/gemm.h"
#include "kernels/packed_gemm.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

struct GemmBenchOptions {
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

enum class Form { kNt, kNn, kTn, kPacked };
constexpr const char* kFormName[] = {"nt", "nn", "tn", "packed"};

Tensor random_tensor(DType dtype, index_t rows, index_t cols, std::uint64_t seed) {
  Tensor t(dtype, rows, cols);
  for (index_t i = 0; i < rows * cols; ++i) {
    const auto x = static_cast<float>(random_uniform(seed, Stream::kTest, static_cast<std::uint64_t>(i)) - 0.5);
    if (dtype == DType::kF32)
      t.view().as<float>()(i / cols, i % cols) = x;
    else
      t.view().as<bf16>()(i / cols, i % cols) = to_bf16(x);
  }
  return t;
}

/// y[m, n] = sum over k, in one of the three forms of a linear layer; dW goes to f32 and is added.
void dense_row(Exec& ex, const GemmBenchOptions& o, Form form, DType dtype, index_t m, index_t k, index_t n) {
  const std::string name = fmt::format("gemm-{}/m={},k={},n={}/{}/{}/t={}", kFormName[static_cast<int>(form)], m, k, n,
                                       dtype_name(dtype), isa_name(ex.isa), ex.pool.num_threads());
  if (name.find(o.filter) == std::string::npos) return;
  const bool tn = form == Form::kTn, nt = form == Form::kNt;
  Tensor a = random_tensor(dtype, tn ? k : m, tn ? m : k, 1), b = random_tensor(dtype, nt ? n : k, nt ? k : n, 2);
  Tensor y(tn ? DType::kF32 : dtype, m, n);
  print_row(bench_compute(ex, name, 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n),
                          dtype == DType::kF32 ? kernels::RoofKind::kF32 : kernels::RoofKind::kBF16,
                          [&] {
                            if (form == Form::kNt) kernels::gemm_nt(ex, y.view(), a.view(), b.view());
                            if (form == Form::kNn) kernels::gemm_nn(ex, y.view(), a.view(), b.view());
                            if (form == Form::kTn) kernels::gemm_tn(ex, y.view(), a.view(), b.view());
                          }),
            o.json);
}

/// A product with packed weights in one of their forms.
void packed_row(Exec& ex, const GemmBenchOptions& o, DType as, index_t m, index_t k, index_t n) {
  const std::string name = fmt::format("gemm-packed/m={},k={},n={}/{}/{}/t={}", m, k, n, dtype_name(as),
                                       isa_name(ex.isa), ex.pool.num_threads());
  if (name.find(o.filter) == std::string::npos) return;
  const Tensor x = random_tensor(DType::kBF16, m, k, 1);
  Tensor w = random_tensor(DType::kBF16, n, k, 2), y(DType::kBF16, m, n);
  const kernels::PackedWeights packed = kernels::pack_weights(ex, w.view(), 1, as);
  const index_t offsets[] = {0, m};
  print_row(bench_compute(ex, name, 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n),
                          kernels::is_int(as) ? kernels::RoofKind::kI8 : kernels::RoofKind::kBF16,
                          [&] { kernels::packed_gemm_nt(ex, y.view(), x.view(), packed, offsets); }),
            o.json);
}

/// Decoding: few rows, weights from memory. Copies of the weights take turns, so that no cache holds them.
void decode_row(Exec& ex, const GemmBenchOptions& o, bool packed, DType as, index_t m, index_t k, index_t n) {
  const std::string name = fmt::format("decode-{}/m={},k={},n={}/{}/{}/t={}", packed ? "packed" : "nt", m, k, n,
                                       dtype_name(as), isa_name(ex.isa), ex.pool.num_threads());
  if (name.find(o.filter) == std::string::npos) return;
  const index_t bytes = 2 * k * n, copies = (index_t{192} << 20) / bytes + 1;
  const Tensor x = random_tensor(DType::kBF16, m, k, 1), one = random_tensor(DType::kBF16, n, k, 2);
  Tensor w(DType::kBF16, copies * n, k), y(DType::kBF16, m, n);
  for (index_t i = 0; i < copies; ++i) copy_rows(w.view().slice_rows(i * n, n), one.view());
  index_t copy = 0;
  std::vector<kernels::PackedWeights> packed_w;
  for (index_t i = 0; packed && i < copies; ++i)
    packed_w.push_back(kernels::pack_weights(ex, w.view().slice_rows(i * n, n), 1, as));
  const index_t offsets[] = {0, m};
  const index_t read = packed ? packed_w[0].data.size() : bytes;
  print_row(bench_bandwidth(ex, name, static_cast<double>(read),
                            [&] {
                              const auto i = static_cast<std::size_t>(copy);
                              if (packed)
                                kernels::packed_gemm_nt(ex, y.view(), x.view(), packed_w[i], offsets);
                              else
                                kernels::gemm_nt(ex, y.view(), x.view(), w.view().slice_rows(copy * n, n));
                              copy = (copy + 1) % copies;
                            }),
            o.json);
}

/// 64 experts with skewed token counts (expert e gets a share that falls like 1 / (1 + e / 8)).
void expert_row(Exec& ex, const GemmBenchOptions& o, Form form, index_t slots) {
  constexpr index_t kExperts = 64, kIn = 512, kOut = 256;
  const std::string name =
      fmt::format("experts-{}/slots={},e=64,in=512,out=256/bf16/{}/t={}", kFormName[static_cast<int>(form)], slots,
                  isa_name(ex.isa), ex.pool.num_threads());
  if (name.find(o.filter) == std::string::npos) return;
  double sum = 0;
  for (index_t e = 0; e < kExperts; ++e) sum += 1 / (1 + static_cast<double>(e) / 8);
  std::vector<index_t> offsets = {0};
  double share = 0;
  for (index_t e = 0; e < kExperts; ++e) {
    share += 1 / (1 + static_cast<double>(e) / 8) / sum;
    offsets.push_back(std::llround(share * static_cast<double>(slots)));
  }
  Tensor x = random_tensor(DType::kBF16, slots, kIn, 1), w = random_tensor(DType::kBF16, kExperts * kOut, kIn, 2),
         y = random_tensor(DType::kBF16, slots, kOut, 3), dw(DType::kF32, kExperts * kOut, kIn);
  const kernels::PackedWeights packed = kernels::pack_weights(ex, w.view(), kExperts);
  print_row(bench_compute(ex, name, 2.0 * static_cast<double>(slots * kIn * kOut), kernels::RoofKind::kBF16,
                          [&] {
                            if (form == Form::kPacked) kernels::packed_gemm_nt(ex, y.view(), x.view(), packed, offsets);
                            if (form == Form::kNt) kernels::grouped_gemm_nt(ex, y.view(), x.view(), w.view(), offsets);
                            if (form == Form::kNn) kernels::grouped_gemm_nn(ex, x.view(), y.view(), w.view(), offsets);
                            if (form == Form::kTn) kernels::grouped_gemm_tn(ex, dw.view(), y.view(), x.view(), offsets);
                          }),
            o.json);
}

void fp8_row(Exec& ex, const GemmBenchOptions& o, index_t m, index_t k, index_t n) {
  const std::string name =
      fmt::format("gemm-nt/m={},k={},n={}/fp8/{}/t={}", m, k, n, isa_name(ex.isa), ex.pool.num_threads());
  if (name.find(o.filter) == std::string::npos) return;
  Tensor x = random_tensor(DType::kBF16, m, k, 1), w = random_tensor(DType::kBF16, n, k, 2), y(DType::kBF16, m, n);
  const auto tiles = [](index_t v) { return (v + kernels::kFp8Tile - 1) / kernels::kFp8Tile; };
  Tensor xq(DType::kE4M3, m, k), xs(DType::kF32, m, tiles(k)), wq(DType::kE4M3, n, k),
      ws(DType::kF32, tiles(n), tiles(k));
  const kernels::Fp8 qx{xq.view(), xs.view().as<float>()}, qw{wq.view(), ws.view().as<float>()};
  kernels::fp8_quantize_rows(ex, qx, x.view(), kernels::Scales::kF32);
  kernels::fp8_quantize_blocks(ex, qw, w.view(), 1, kernels::Scales::kF32);
  print_row(bench_compute(ex, name, 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n),
                          kernels::RoofKind::kBF16, [&] { kernels::fp8_gemm_nt(ex, y.view(), qx, qw, {}); }),
            o.json);
}

}  // namespace

int bench_gemm(Args args) {
  GemmBenchOptions o;
  if (!parse_options(o, args, {.verb = "bench gemm", .about = "matrix products against the machine's roof"})) return 0;
  ThreadPool pool(o.threads);
  Exec ex(pool);
  struct Shape {
    index_t m, k, n;
  };
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape s : {Shape{2048, 256, 512},
                          {2048, 1024, 1024},
                          {2048, 2048, 704},
                          {2048, 1408, 2048},
                          {2048, 2048, 2048},
                          {2048, 512, 8192}})
      dense_row(ex, o, Form::kNn, dtype, s.m, s.k, s.n);
    for (const Shape s : {Shape{2048, 512, 512}, {2048, 704, 2048}, {2048, 2048, 2048}, {128, 256, 512}})
      dense_row(ex, o, Form::kNt, dtype, s.m, s.k, s.n);
    for (const Shape s : {Shape{512, 2048, 512}, {2048, 2048, 704}, {2048, 2048, 2048}, {512, 128, 256}})
      dense_row(ex, o, Form::kTn, dtype, s.m, s.k, s.n);
  }
  // What a training step of shape T is made of: hidden 256, 2048 tokens.
  for (const Shape s : {Shape{2048, 256, 208}, {2048, 128, 192}, {2048, 64, 256}, {2048, 128, 256}, {2048, 256, 1408}})
    for (const Form form : {Form::kNt, Form::kNn}) dense_row(ex, o, form, DType::kBF16, s.m, s.k, s.n);
  for (const Shape s : {Shape{208, 2048, 256}, {192, 2048, 128}, {256, 2048, 64}, {1408, 2048, 256}})
    dense_row(ex, o, Form::kTn, DType::kBF16, s.m, s.k, s.n);
  // And of shape M: hidden 512, 2048 tokens.
  for (const Shape s :
       {Shape{2048, 512, 416}, {2048, 256, 768}, {2048, 128, 1024}, {2048, 512, 256}, {2048, 512, 2816}})
    for (const Form form : {Form::kNt, Form::kNn}) dense_row(ex, o, form, DType::kBF16, s.m, s.k, s.n);
  for (const Shape s : {Shape{416, 2048, 512}, {768, 2048, 256}, {1024, 2048, 128}, {2816, 2048, 512}})
    dense_row(ex, o, Form::kTn, DType::kBF16, s.m, s.k, s.n);
  for (const Form form : {Form::kPacked, Form::kNt, Form::kNn, Form::kTn})
    for (const index_t slots : {512, 2048, 16384}) expert_row(ex, o, form, slots);
  for (const DType as : {DType::kBF16, DType::kI8, DType::kI4}) {
    packed_row(ex, o, as, 2048, 2048, 2048);
    packed_row(ex, o, as, 512, 1024, 2048);
    for (const index_t m : {1, 4, 8, 16}) decode_row(ex, o, true, as, m, 2048, 2048);
  }
  for (const index_t m : {1, 4, 8, 16}) decode_row(ex, o, false, DType::kBF16, m, 2048, 2048);
  fp8_row(ex, o, 2048, 2048, 2048);
  return 0;
}

}  // namespace hadal
