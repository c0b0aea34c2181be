#pragma once
// Randomness is a pure function of (seed, purpose, index), so resume, re-sharding and the number of threads do not
// change it.
#include <cmath>
#include <cstdint>
#include <numbers>

namespace hadal {

/// What a random number is for; two purposes never share a sequence.
enum class Stream : std::uint64_t {
  kInit = 1,
  kShuffle,
  kSample,
  kDropToken,
  kFim,
  kSplitToken,
  kValidation,
  kTest,
  kNoise,
  kTask
};

/// 64 mixed bits (splitmix64's finaliser, three rounds over the key).
inline std::uint64_t random_bits(std::uint64_t seed, Stream purpose, std::uint64_t index) {
  auto mix = [](std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  };
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = mix(seed + kGolden);
  z = mix(z ^ (static_cast<std::uint64_t>(purpose) * kGolden + kGolden));
  return mix(z + (index + 1) * kGolden);
}

/// Uniform in [0, 1), 53 bits.
inline double random_uniform(std::uint64_t seed, Stream purpose, std::uint64_t index) {
  return static_cast<double>(random_bits(seed, purpose, index) >> 11) * 0x1.0p-53;
}

/// Uniform in [0, n). n > 0.
inline std::uint64_t random_below(std::uint64_t seed, Stream purpose, std::uint64_t index, std::uint64_t n) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(random_bits(seed, purpose, index)) * n) >> 64);
}

/// Standard normal (Box-Muller over two draws).
inline double random_normal(std::uint64_t seed, Stream purpose, std::uint64_t index) {
  const double u = 1.0 - random_uniform(seed, purpose, 2 * index);
  const double v = random_uniform(seed, purpose, 2 * index + 1);
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace hadal
