#pragma once
// MinHash signatures of documents (Broder 1997): the share of equal minima estimates the Jaccard similarity of the sets
// of word n-grams.
#include <array>
#include <cstdint>
#include <span>

namespace hadal {

inline constexpr int kNumMinima = 112;  // 14 bands of 8 rows
using MinHash = std::array<std::uint32_t, kNumMinima>;

/// The minima of 112 hash functions over the n-grams of words; a text of fewer words is one n-gram. The functions are
/// fixed: signatures of different runs compare. `words` as word_hashes gives them, not empty.
MinHash min_hash(std::span<const std::uint64_t> words, int ngram);

/// The share of equal minima: the Jaccard similarity J, with standard deviation sqrt(J (1 - J) / 112).
double similarity(const MinHash& a, const MinHash& b);

/// A key of `rows` minima from `first` on, `step` apart (around the end): documents with equal keys share a bucket.
std::uint64_t band_key(const MinHash& signature, int first, int step, int rows);

}  // namespace hadal
