#pragma once
#include <cstdint>

namespace hadal {

/// A shuffle of [0, n) that is a function of (seed, round): no table, any element at once. A Feistel network over the
/// smallest even number of bits that covers n; results outside [0, n) are shuffled again until they fall inside.
class Permutation {
 public:
  /// 1 <= n < 2^62.
  Permutation(std::uint64_t n, std::uint64_t seed, std::uint64_t round);
  /// Where element i goes. i < n.
  std::uint64_t operator()(std::uint64_t i) const;

 private:
  std::uint64_t once(std::uint64_t i) const;
  std::uint64_t n_, seed_, round_, half_mask_;
  int half_bits_;
};

}  // namespace hadal
