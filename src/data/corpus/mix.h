#pragma once
// How often each document is taken: weights of sources and classes, caps on epochs.
#include <cstdint>
#include <string>
#include <vector>

#include "data/corpus/pipeline_options.h"

namespace hadal {

/// Documents of one source and class.
struct MixGroup {
  std::string source, text_class;
  double weight = 1, max_epochs = 1;
  std::int64_t tokens = 0;  // that there are
  double epochs = 0;        // how often they are taken; set by mix_epochs
};

/// Sets the epochs. Without a number of tokens wanted: the weight, at most max_epochs. With one: tokens are shared in
/// proportion to weight * tokens^(1/temperature); a group whose share is more than max_epochs of what it has gives all
/// of these, and the others share the rest, until the wanted number is reached or all groups are at their caps. Throws
/// Error on weights below zero, or when all are zero.
void mix_epochs(std::vector<MixGroup>& groups, const MixOptions& options);

/// Turns epochs into whole copies of documents, one document after the other, so that the tokens taken so far stay as
/// near as possible to epochs * tokens seen: no document is taken less than floor(epochs) or more than ceil(epochs)
/// times.
class CopyCounter {
 public:
  explicit CopyCounter(double epochs) : epochs_(epochs) {}
  int copies(std::int64_t tokens);

 private:
  double epochs_, owed_ = 0;  // tokens that should have been taken and were not
};

}  // namespace hadal
