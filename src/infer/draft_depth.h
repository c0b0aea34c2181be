#pragma once
// How many tokens to draft before a step: as many as pay.
#include <array>
#include <map>
#include <vector>

namespace hadal {

/// Chooses the depth of drafts from what was measured: the time of whole steps at each depth (drafting, the wider pass
/// that verifies, drawing) and the share of drafts that came true. A depth is expected to give
///   (1 + p_1 + p_1 p_2 + ...) tokens an answer in the time of its step,
/// p_j: share of j-th drafts that came true where the ones before did. It changes only for a clear gain, and other
/// depths are tried again now and then, because prompts and machines change.
class DraftDepth {
 public:
  /// fixed: always `most`.
  DraftDepth(int most, bool fixed);

  /// The depth for a step in which so many answers decode.
  int next(int answers);
  /// Of the drafts of one answer in one step so many came true, from the first on.
  void verified(int drafted, int accepted);
  /// A step in which all of these answers drafted `depth` tokens, and nothing else happened.
  void took(int answers, int depth, double seconds);

 private:
  /// The last times of one kind of step; the median is blind to a neighbour on the machine.
  struct Times {
    static constexpr int kKept = 7;
    std::array<double, kKept> seconds{};
    int count = 0;
    void add(double s) { seconds[static_cast<std::size_t>(count++ % kKept)] = s; }
    double median() const;
  };
  struct Choice {  // for one number of answers
    std::vector<Times> times;
    int depth = 0, steps = 0, tried = 0;
  };
  double expected_tokens(int depth) const;

  int most_;
  bool fixed_;
  std::vector<double> came_;  // p_j
  std::map<int, Choice> choices_;
};

}  // namespace hadal
