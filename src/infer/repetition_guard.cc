#include "infer/repetition_guard.h"

#include <algorithm>

namespace hadal {

bool RepetitionGuard::push(int token) {
  tokens_.push_back(token);
  const int n = static_cast<int>(tokens_.size());
  bool repeats = false;
  for (int p = 1; p <= std::min(kLongest, n - 1); ++p) {
    int& run = run_[static_cast<std::size_t>(p)];
    run = tokens_[static_cast<std::size_t>(n - 1 - p)] == token ? run + 1 : 0;
    const int covered = run + p;  // tokens at the end that have the period p
    repeats = repeats || (run > 0 && covered >= least_ && covered >= kRepeats * p);
  }
  return repeats;
}

void RepetitionGuard::restart() {
  tokens_.clear();
  std::ranges::fill(run_, 0);
}

}  // namespace hadal
