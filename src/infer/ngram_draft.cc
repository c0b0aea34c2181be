#include "infer/ngram_draft.h"

#include <algorithm>

namespace hadal {
namespace {

constexpr int kLongest = 8;                         // tokens of a guess
constexpr int kMostFailures = 3;                    // wrong guesses in a row before a pause
constexpr int kPause = 16;                          // tokens without a guess
constexpr std::uint64_t kPair = ~std::uint64_t{0};  // stands for the first of three in the keys of pairs

}  // namespace

NgramDraft::NgramDraft(std::span<const int> prompt) {
  for (const int token : prompt) add(token);
}

void NgramDraft::add(int token) {
  remember();
  tokens_.push_back(token);
  if (pause_ > 0) --pause_;
}

/// Notes what the present end of the history is followed by, one token late: so the end never finds itself.
void NgramDraft::remember() {
  const std::size_t n = tokens_.size();
  const auto at = [&](std::size_t back) { return static_cast<std::uint64_t>(tokens_[n - back]); };
  if (n >= 2) after_[key(kPair, at(2), at(1))] = n;
  if (n >= 3) after_[key(at(3), at(2), at(1))] = n;
}

std::vector<int> NgramDraft::propose(int most) {
  const std::size_t n = tokens_.size();
  if (pause_ > 0 || n < 3 || most <= 0) return {};
  const auto at = [&](std::size_t back) { return static_cast<std::uint64_t>(tokens_[n - back]); };
  auto found = after_.find(key(at(3), at(2), at(1)));
  if (found == after_.end()) found = after_.find(key(kPair, at(2), at(1)));
  if (found == after_.end()) return {};
  const auto begin = tokens_.begin() + static_cast<std::ptrdiff_t>(found->second);
  return {begin, begin + std::min<std::ptrdiff_t>({tokens_.end() - begin, length_, most})};
}

void NgramDraft::judge(int proposed, int accepted) {
  if (proposed == 0) return;
  length_ = accepted == proposed ? std::min(kLongest, proposed + 2) : std::max(1, accepted + 1);
  failures_ = accepted > 0 ? 0 : failures_ + 1;
  if (failures_ < kMostFailures) return;
  failures_ = 0, pause_ = kPause;
}

}  // namespace hadal
