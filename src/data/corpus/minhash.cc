#include "data/corpus/minhash.h"

#include <algorithm>
#include <cstddef>

#include "base/random.h"

namespace hadal {
namespace {

/// h(x) = (x ^ flip) * odd, a permutation of 32 bits; x is mixed well before.
struct Functions {
  alignas(64) std::array<std::uint32_t, kNumMinima> flip, odd;
};

const Functions& functions() {
  static const Functions made = [] {
    Functions f{};
    // Never to change: the seed is a part of what a signature is.
    for (std::size_t i = 0; i < kNumMinima; ++i) {
      const std::uint64_t bits = random_bits(112, Stream::kSample, i);
      f.flip[i] = static_cast<std::uint32_t>(bits);
      f.odd[i] = static_cast<std::uint32_t>(bits >> 32) | 1;
    }
    return f;
  }();
  return made;
}

// Inlined into one function for each instruction set; integers, so all give the same.
[[gnu::always_inline]] inline void minima_loop(std::span<const std::uint32_t> shingles, const Functions& f,
                                               std::uint32_t* __restrict minima) {
  for (const std::uint32_t x : shingles)
    for (std::size_t i = 0; i < kNumMinima; ++i) {
      const std::uint32_t h = (x ^ f.flip[i]) * f.odd[i];
      minima[i] = h < minima[i] ? h : minima[i];
    }
}

#if defined(__x86_64__)
[[gnu::target("avx512f")]] void minima_avx512(std::span<const std::uint32_t> shingles, const Functions& f,
                                              std::uint32_t* __restrict minima) {
  minima_loop(shingles, f, minima);
}
[[gnu::target("avx2")]] void minima_avx2(std::span<const std::uint32_t> shingles, const Functions& f,
                                         std::uint32_t* __restrict minima) {
  minima_loop(shingles, f, minima);
}
#endif
void minima_portable(std::span<const std::uint32_t> shingles, const Functions& f, std::uint32_t* __restrict minima) {
  minima_loop(shingles, f, minima);
}

using MinimaFunction = void (*)(std::span<const std::uint32_t>, const Functions&, std::uint32_t* __restrict);
MinimaFunction best_minima() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return minima_avx512;
  if (__builtin_cpu_supports("avx2")) return minima_avx2;
#endif
  return minima_portable;
}

std::uint32_t mix(std::uint64_t h) {
  h ^= h >> 31;
  h *= 0xBF58476D1CE4E5B9ULL;
  return static_cast<std::uint32_t>(h >> 32);
}

}  // namespace

MinHash min_hash(std::span<const std::uint64_t> words, int ngram) {
  static const MinimaFunction minima_of = best_minima();
  constexpr std::uint64_t kBase = 0x9E3779B97F4A7C15ULL;
  const std::size_t n = std::min(words.size(), static_cast<std::size_t>(ngram));
  MinHash signature;
  signature.fill(0xFFFFFFFF);
  std::array<std::uint32_t, 256> block{};
  std::size_t filled = 0;
  for (std::size_t i = 0; i + n <= words.size(); ++i) {
    std::uint64_t h = 0;
    for (std::size_t j = 0; j < n; ++j) h = h * kBase + words[i + j];
    block[filled++] = mix(h);
    if (filled == block.size() || i + n == words.size()) {
      minima_of({block.data(), filled}, functions(), signature.data());
      filled = 0;
    }
  }
  return signature;
}

double similarity(const MinHash& a, const MinHash& b) {
  int equal = 0;
  for (std::size_t i = 0; i < kNumMinima; ++i) equal += a[i] == b[i] ? 1 : 0;
  return static_cast<double>(equal) / kNumMinima;
}

std::uint64_t band_key(const MinHash& signature, int first, int step, int rows) {
  std::uint64_t key = 0x9E3779B97F4A7C15ULL * static_cast<std::uint64_t>(first + 1);
  for (int r = 0; r < rows; ++r) {
    key ^= signature[static_cast<std::size_t>((first + r * step) % kNumMinima)];
    key *= 0xFF51AFD7ED558CCDULL;
    key ^= key >> 33;
  }
  return key;
}

}  // namespace hadal
