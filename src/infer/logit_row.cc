#include "infer/logit_row.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"

namespace hadal {
namespace {

constexpr std::size_t kBlock = 64, kLanes = 8;
constexpr float kNone = -std::numeric_limits<float>::infinity();

// x = n ln 2 + r with |r| <= ln(2)/2, then 2^n times the series of e^r up to r^12. No call and no branch, so that the
// loops over it are vectorised.
inline double exp_inline(double x) {
  constexpr double kLog2e = 1.4426950408889634, kRound = 0x1.8p52, kLn2High = 0x1.62e42fefa3800p-1,
                   kLn2Low = 0x1.ef35793c76730p-45, kLowest = -700;
  constexpr std::array kSeries = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
      1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};
  const double inside = x > kLowest ? x : kLowest;
  const double shifted = inside * kLog2e + kRound;
  const double n = shifted - kRound;
  const double r = (inside - n * kLn2High) - n * kLn2Low;
  double series = kSeries[0];
  for (std::size_t i = 1; i < kSeries.size(); ++i) series = series * r + kSeries[i];
  const double power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
  return x > kLowest ? series * power : 0.0;
}

double block_weight(std::span<const float> block, double max, double inverse_temperature) {
  std::array<double, kLanes> lanes{};
  if (block.size() == kBlock) {
    for (std::size_t i = 0; i < kBlock; i += kLanes)
      for (std::size_t j = 0; j < kLanes; ++j)
        lanes[j] += exp_inline((static_cast<double>(block[i + j]) - max) * inverse_temperature);
  } else {
    for (std::size_t i = 0; i < block.size(); ++i)
      lanes[i % kLanes] += exp_inline((static_cast<double>(block[i]) - max) * inverse_temperature);
  }
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
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

}  // namespace

double exp_of_negative(double x) {
  return exp_inline(x);
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
  inverse_temperature_ = inverse_temperature;
  block_sum_.resize(block_max_.size());
  sum_ = 0;
  for (std::size_t b = 0; b < block_sum_.size(); ++b) {
    block_sum_[b] = block_weight(block_at(logits_, b), static_cast<double>(max_), inverse_temperature);
    sum_ += block_sum_[b];
  }
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
  const std::span<const float> logits = block_at(logits_, block);
  int chosen = argmax();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight =
        exp_inline((static_cast<double>(logits[i]) - static_cast<double>(max_)) * inverse_temperature_);
    if (weight == 0) continue;
    chosen = static_cast<int>(block * kBlock + i);
    if ((before += weight) > wanted) break;
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
