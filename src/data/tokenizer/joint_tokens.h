#pragma once
// Tokens that join punctuation with the line breaks behind it, such as ".\n\n". A model that always saw them joined is
// biased at the end of prompts that stop before the line break; so some of them are split at random in training data
// (DeepSeek-V3 report 4.1; the share is not published).
#include <cstdint>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace hadal {

class JointTokenSplitter {
 public:
  explicit JointTokenSplitter(const Tokenizer& tokenizer);

  /// Joint tokens of the vocabulary.
  int num_joint() const { return num_joint_; }
  bool is_joint(int id) const {
    return id >= 0 && static_cast<std::size_t>(id) < parts_.size() && !parts_[static_cast<std::size_t>(id)].empty();
  }
  /// Replaces each joint token, with probability `rate` in [0, 1], by the tokens of its punctuation and of its line
  /// breaks; the text stays the same. A pure function of (ids, rate, seed, document).
  std::vector<int> split(const std::vector<int>& ids, double rate, std::uint64_t seed, std::uint64_t document) const;

 private:
  std::vector<std::vector<int>> parts_;  // by id; empty: not joint
  int num_joint_ = 0;
};

}  // namespace hadal
