#pragma once
// How much of a prompt a step may take while answers wait for their next token.
#include <algorithm>

namespace hadal {

/// Moves the size of prompt chunks towards the one whose step takes the target. What a token of a prompt costs depends
/// on its depth, on the experts that it meets and on what else the machine does, so the measured steps steer, not a
/// model of the cost.
class ChunkPacer {
 public:
  /// target_seconds 0: always `most`.
  ChunkPacer(int most, double target_seconds)
      : most_(most), target_(target_seconds), chunk_(target_seconds > 0 ? std::min(most, kFirst) : most) {}

  int chunk() const { return static_cast<int>(chunk_); }
  /// A step with `tokens` of prompts beside answers.
  void took(int tokens, double seconds) {
    if (target_ <= 0 || seconds <= 0) return;
    // The end of a prompt may be shorter than the chunk: it says how long so many take at least.
    if (tokens < chunk() && seconds < target_) return;
    const double size = std::min<double>(chunk_, tokens) * std::clamp(target_ / seconds, 0.5, 1.5);
    chunk_ = std::clamp<double>(size, std::min(most_, kLeast), most_);
  }

 private:
  static constexpr int kFirst = 32, kLeast = 4;
  int most_;
  double target_, chunk_;
};

}  // namespace hadal
