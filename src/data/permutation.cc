#include "data/permutation.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/random.h"

namespace hadal {
namespace {

constexpr std::uint64_t kRounds = 6;

}  // namespace

Permutation::Permutation(std::uint64_t n, std::uint64_t seed, std::uint64_t round) : n_(n), seed_(seed), round_(round) {
  HADAL_CHECK(n >= 1 && n < (std::uint64_t{1} << 62), "shuffle of ", n, " elements, want 1 to 2^62 - 1");
  half_bits_ = std::max(1, (static_cast<int>(std::bit_width(n - 1)) + 1) / 2);
  half_mask_ = (std::uint64_t{1} << half_bits_) - 1;
}

std::uint64_t Permutation::operator()(std::uint64_t i) const {
  do i = once(i);
  while (i >= n_);
  return i;
}

std::uint64_t Permutation::once(std::uint64_t i) const {
  std::uint64_t left = i >> half_bits_, right = i & half_mask_;
  for (std::uint64_t r = 0; r < kRounds; ++r) {
    const std::uint64_t mixed = random_bits(seed_ ^ random_bits(round_, Stream::kShuffle, r), Stream::kShuffle, right);
    const std::uint64_t next = left ^ (mixed & half_mask_);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

}  // namespace hadal
