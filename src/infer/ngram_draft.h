#pragma once
// Guesses of the next tokens: what followed the same few tokens the last time.
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace hadal {

/// The history of one answer, prompt included, and where its token triples and pairs last occurred. Guesses cost a
/// little work when they are wrong, so their length follows how many of the last ones were right.
class NgramDraft {
 public:
  explicit NgramDraft(std::span<const int> prompt);

  void add(int token);
  /// At most `most` tokens that may come next; often none.
  std::vector<int> propose(int most);
  /// How many tokens of the last proposal came.
  void judge(int proposed, int accepted);

 private:
  static std::uint64_t key(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    return (a * 0x9E3779B97F4A7C15ULL ^ b) * 0xBF58476D1CE4E5B9ULL ^ c;
  }
  void remember();

  std::vector<int> tokens_;
  std::unordered_map<std::uint64_t, std::size_t> after_;  // the place after the last occurrence but the present one
  int length_ = 3, failures_ = 0, pause_ = 0;
};

}  // namespace hadal
