#pragma once
// The steps of sampling that remove unlikely tokens.
#include <vector>

#include "infer/logit_row.h"
#include "infer/request.h"

namespace hadal {

/// A token that may still be drawn. weight = e^log_weight is its probability but for a factor that all share.
struct Candidate {
  int id = -1;
  double log_weight = 0, weight = 0;
};

/// Whether any of the steps is on.
bool truncates(const SamplingParams& params, int vocab_size);

/// What top_k, typical_p, top_p, min_p and top_n_sigma leave of a row at a temperature above 0, by ascending id; at
/// least one. Overwrites what row.weigh() left.
void truncate(LogitRow& row, const SamplingParams& params, double inverse_temperature, std::vector<Candidate>& kept);

/// The candidate at which the running sum of weights passes u * their sum.
int draw(const std::vector<Candidate>& candidates, double u);

}  // namespace hadal
