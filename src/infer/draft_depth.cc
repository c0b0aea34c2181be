#include "infer/draft_depth.h"

#include <algorithm>

namespace hadal {
namespace {

constexpr int kLeastTimes = 5;           // steps before a time counts
constexpr double kClearGain = 1.05;      // tokens a second, before the depth changes
constexpr int kPeriod = 64, kTrial = 4;  // steps from trial to trial of another depth, and of a trial
constexpr double kMemory = 1.0 / 32;     // weight of the last draft in the share that came true

}  // namespace

DraftDepth::DraftDepth(int most, bool fixed) : most_(most), fixed_(fixed), came_(static_cast<std::size_t>(most), 0.5) {}

double DraftDepth::Times::median() const {
  std::vector<double> sorted(seconds.begin(), seconds.begin() + std::min(count, kKept));
  const auto middle = sorted.begin() + std::ssize(sorted) / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

double DraftDepth::expected_tokens(int depth) const {
  double tokens = 1, all_came = 1;
  for (int j = 0; j < depth; ++j) tokens += all_came *= came_[static_cast<std::size_t>(j)];
  return tokens;
}

int DraftDepth::next(int answers) {
  if (fixed_ || most_ == 0) return most_;
  Choice& choice = choices_[answers];
  choice.times.resize(static_cast<std::size_t>(most_) + 1);
  for (int depth = 0; depth <= most_; ++depth)
    if (choice.times[static_cast<std::size_t>(depth)].count < kLeastTimes) return depth;
  const auto rate = [&](int depth) {
    return expected_tokens(depth) / choice.times[static_cast<std::size_t>(depth)].median();
  };
  for (int depth = 0; depth <= most_; ++depth)
    if (rate(depth) > kClearGain * rate(choice.depth)) choice.depth = depth;
  const int step = choice.steps++ % kPeriod;
  if (step == 0) choice.tried = (choice.tried + 1) % (most_ + 1);
  return step < kTrial ? choice.tried : choice.depth;
}

void DraftDepth::verified(int drafted, int accepted) {
  for (int j = 0; j < std::min(drafted, accepted + 1); ++j) {
    double& came = came_[static_cast<std::size_t>(j)];
    came += kMemory * ((j < accepted ? 1.0 : 0.0) - came);
  }
}

void DraftDepth::took(int answers, int depth, double seconds) {
  if (fixed_ || most_ == 0) return;
  Choice& choice = choices_[answers];
  choice.times.resize(static_cast<std::size_t>(most_) + 1);
  choice.times[static_cast<std::size_t>(depth)].add(seconds);
}

}  // namespace hadal
