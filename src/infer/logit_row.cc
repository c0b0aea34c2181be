#include "infer/logit_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "base/cpu_info.h"
#include "base/error.h"

namespace hadal {
namespace {

constexpr std::size_t kBlock = 64, kLanes = 8;
constexpr float kNone = -std::numeric_limits<float>::infinity();

#define HADAL_INLINE [[gnu::always_inline]] inline

// Eight lanes, whatever registers the machine has: the order of additions is part of the result, and no instruction set
// fuses a multiplication with an addition, so all give the same bits.
using Doubles = double __attribute__((vector_size(kLanes * sizeof(double))));
using Bits = std::uint64_t __attribute__((vector_size(kLanes * sizeof(double))));
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));

// x = n ln 2 + r with |r| <= ln(2)/2, then 2^n times the series of e^r up to r^12, summed in pairs (Estrin).
HADAL_INLINE Doubles exp_lanes(Doubles x) {
  constexpr double kLog2e = 1.4426950408889634, kRound = 0x1.8p52, kLn2High = 0x1.62e42fefa3800p-1,
                   kLn2Low = 0x1.ef35793c76730p-45;
  const Doubles lowest = Doubles{} - 700.0, zero{};
  const Doubles inside = x > lowest ? x : lowest;
  const Doubles shifted = inside * kLog2e + kRound;
  const Doubles n = shifted - kRound;
  const Doubles r = (inside - n * kLn2High) - n * kLn2Low, r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
  const Doubles low = (1.0 + r) + (1.0 / 2 + r * (1.0 / 6)) * r2;
  const Doubles middle = (1.0 / 24 + r * (1.0 / 120)) + (1.0 / 720 + r * (1.0 / 5040)) * r2;
  const Doubles high =
      ((1.0 / 40320 + r * (1.0 / 362880)) + (1.0 / 3628800 + r * (1.0 / 39916800)) * r2) + r4 * (1.0 / 479001600);
  const auto power = reinterpret_cast<Doubles>((reinterpret_cast<Bits>(shifted) + 1023) << 52);
  return x > lowest ? (low + (middle * r4 + high * r8)) * power : zero;
}

HADAL_INLINE Doubles lane_weights(const float* logits, double max, double inverse_temperature) {
  Floats lanes;
  __builtin_memcpy(&lanes, logits, sizeof lanes);
  return exp_lanes((__builtin_convertvector(lanes, Doubles) - max) * inverse_temperature);
}

HADAL_INLINE double block_weight(const float* block, double max, double inverse_temperature) {
  Doubles lanes{};
  for (std::size_t i = 0; i < kBlock; i += kLanes) lanes += lane_weights(block + i, max, inverse_temperature);
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

// Weights of whole blocks.
HADAL_INLINE void weigh_blocks(std::span<double> sums, const float* logits, double max, double inverse_temperature) {
  for (std::size_t b = 0; b < sums.size(); ++b) sums[b] = block_weight(logits + b * kBlock, max, inverse_temperature);
}

using WeighBlocks = void (*)(std::span<double>, const float*, double, double);

void weigh_portable(std::span<double> sums, const float* logits, double max, double inverse_temperature) {
  weigh_blocks(sums, logits, max, inverse_temperature);
}
#if defined(__x86_64__)
__attribute__((target("avx2"))) void weigh_avx2(std::span<double> sums, const float* logits, double max,
                                                double inverse_temperature) {
  weigh_blocks(sums, logits, max, inverse_temperature);
}
__attribute__((target("avx512f"))) void weigh_avx512(std::span<double> sums, const float* logits, double max,
                                                     double inverse_temperature) {
  weigh_blocks(sums, logits, max, inverse_temperature);
}
#endif

WeighBlocks best_weigh_blocks() {
#if defined(__x86_64__)
  if (chosen_isa() >= Isa::kAvx512) return weigh_avx512;
  if (chosen_isa() >= Isa::kAvx2) return weigh_avx2;
#endif
  return weigh_portable;
}

// a > b is false for NaN, which so never becomes a maximum.
float block_max(std::span<const float> block) {
  std::array<float, kLanes> lanes;
  lanes.fill(kNone);
  if (block.size() == kBlock) {
    for (std::size_t i = 0; i < kBlock; i += kLanes)
      for (std::size_t j = 0; j < kLanes; ++j) lanes[j] = block[i + j] > lanes[j] ? block[i + j] : lanes[j];
  } else {
    for (const float logit : block) lanes[0] = logit > lanes[0] ? logit : lanes[0];
  }
  return *std::max_element(lanes.begin(), lanes.end());
}

std::span<const float> block_at(std::span<const float> logits, std::size_t block) {
  const std::size_t begin = block * kBlock;
  return logits.subspan(begin, std::min(kBlock, logits.size() - begin));
}

/// The last block ends with ids of no weight.
std::array<float, kBlock> padded_block(std::span<const float> logits, std::size_t block) {
  std::array<float, kBlock> padded;
  padded.fill(kNone);
  std::ranges::copy(block_at(logits, block), padded.begin());
  return padded;
}

}  // namespace

double exp_of_negative(double x) {
  return exp_lanes(Doubles{} + x)[0];
}

void LogitRow::assign(std::span<const float> logits_V) {
  logits_ = logits_V;
  block_max_.resize((logits_V.size() + kBlock - 1) / kBlock);
  max_ = kNone;
  sum_ = 0;
  for (std::size_t b = 0; b < block_max_.size(); ++b) {
    block_max_[b] = block_max(block_at(logits_V, b));
    max_ = std::max(max_, block_max_[b]);
  }
  HADAL_CHECK(max_ != kNone, "sampling: none of ", logits_V.size(),
              " logits is finite: every token is banned, or the model computed NaN");
  HADAL_CHECK(std::isfinite(max_), "sampling: the logit of token ", argmax(), " is +infinity");
}

int LogitRow::argmax() const {
  const auto block = static_cast<std::size_t>(std::ranges::find(block_max_, max_) - block_max_.begin());
  const std::span<const float> logits = block_at(logits_, block);
  return static_cast<int>(block * kBlock) + static_cast<int>(std::ranges::find(logits, max_) - logits.begin());
}

double LogitRow::weigh(double inverse_temperature) {
  static const WeighBlocks weigh_whole = best_weigh_blocks();
  inverse_temperature_ = inverse_temperature;
  block_sum_.resize(block_max_.size());
  const auto max = static_cast<double>(max_);
  const std::size_t whole = logits_.size() / kBlock;
  weigh_whole(std::span(block_sum_).first(whole), logits_.data(), max, inverse_temperature);
  if (whole < block_sum_.size()) {
    block_sum_[whole] = block_weight(padded_block(logits_, whole).data(), max, inverse_temperature);
  }
  sum_ = 0;
  for (const double sum : block_sum_) sum_ += sum;
  return sum_;
}

int LogitRow::draw(double u) const {
  const double wanted = u * sum_;
  double before = 0;
  std::size_t block = 0;
  // The last block that has any weight takes what rounding leaves over.
  std::size_t last = block_sum_.size() - 1;
  while (last > 0 && block_sum_[last] == 0) --last;
  while (block < last && before + block_sum_[block] <= wanted) before += block_sum_[block++];
  const std::array<float, kBlock> logits = padded_block(logits_, block);
  int chosen = argmax();
  for (std::size_t i = 0; i < kBlock && before <= wanted; i += kLanes) {
    const Doubles weights = lane_weights(logits.data() + i, static_cast<double>(max_), inverse_temperature_);
    for (std::size_t j = 0; j < kLanes && before <= wanted; ++j) {
      if (weights[j] == 0) continue;
      chosen = static_cast<int>(block * kBlock + i + j);
      before += weights[j];
    }
  }
  return chosen;
}

double LogitRow::log_sum_exp() {
  if (sum_ == 0 || inverse_temperature_ != 1) weigh(1);
  return static_cast<double>(max_) + std::log(sum_);
}

void LogitRow::at_least(double cut, std::vector<int>& ids) const {
  ids.clear();
  for (std::size_t b = 0; b < block_max_.size(); ++b) {
    if (static_cast<double>(block_max_[b]) < cut || block_max_[b] == kNone) continue;
    const std::span<const float> logits = block_at(logits_, b);
    for (std::size_t i = 0; i < logits.size(); ++i)
      if (static_cast<double>(logits[i]) >= cut && logits[i] > kNone) ids.push_back(static_cast<int>(b * kBlock + i));
  }
}

void LogitRow::likeliest(int n, std::vector<int>& ids) {
  const auto wanted = static_cast<std::size_t>(std::clamp(n, 0, size()));
  ids.clear();
  if (wanted == 0) return;
  // Each of the n blocks with the largest maxima holds a logit that is at least the n-th of these maxima.
  double cut = static_cast<double>(kNone);
  if (wanted <= block_max_.size()) {
    order_ = block_max_;
    const auto nth = order_.begin() + static_cast<std::ptrdiff_t>(wanted) - 1;
    std::nth_element(order_.begin(), nth, order_.end(), std::greater<>());
    cut = static_cast<double>(*nth);
  }
  at_least(cut, ids);
  const auto better = [&](int a, int b) {
    const float x = (*this)[a], y = (*this)[b];
    return x != y ? x > y : a < b;
  };
  if (ids.size() > wanted) {
    std::nth_element(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(wanted), ids.end(), better);
    ids.resize(wanted);
  }
  std::sort(ids.begin(), ids.end(), better);
}

double LogitRow::standard_deviation() const {
  double count = 0, sum = 0, squares = 0;
  for (const float logit : logits_) {
    if (!(logit > kNone)) continue;
    // From the maximum: logits may share a large offset.
    const double x = static_cast<double>(logit) - static_cast<double>(max_);
    count += 1;
    sum += x;
    squares += x * x;
  }
  return std::sqrt(std::max(0.0, squares / count - (sum / count) * (sum / count)));
}

}  // namespace hadal
