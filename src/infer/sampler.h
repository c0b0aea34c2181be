#pragma once
// Logits -> a token.
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "infer/logit_row.h"
#include "infer/request.h"
#include "infer/truncation.h"

namespace hadal {

/// Draws the tokens of one answer. What a choice is depends on the parameters, the prompt, the tokens accepted so far,
/// the logits and the position; on nothing else. Not for use by two threads at once.
///
/// The steps are those of SamplingParams, in its order. Among equal logits the lower id counts as likelier. The steps
/// that remove tokens work on what the ones before left, with probabilities renormalised; the standard deviation of
/// top_n_sigma is that of all finite logits after penalties and temperature, the distance counts from the likeliest
/// that is left. Of what is left in the end a token is drawn by inversion: the one at which the running sum of
/// probabilities by ascending id passes random_uniform(seed, Stream::kSample, position).
class Sampler {
 public:
  struct Choice {
    int id = -1;
    float logprob = 0;              // with num_top >= 0
    std::vector<TokenLogprob> top;  // num_top of them, fewer when fewer logits are finite
  };

  /// Throws Error on parameters outside of their ranges (NaN is outside of all) and on ids outside of the vocabulary.
  Sampler(const SamplingParams& params, std::span<const int> prompt, int vocab_size);

  /// Removes these ids from the next choice only.
  void ban(std::span<const int> ids);
  /// The token that logits_V choose. logprob and top are natural logarithms of softmax(logits_V), the model's own
  /// distribution: f64 until the last rounding, and the same bits for an id wherever it is told. num_top -1: neither.
  /// Throws Error when logits_V has another size than the vocabulary, or no token is left to choose.
  Choice choose(std::span<const float> logits_V, std::uint64_t position, int num_top);
  /// The same for a token that is not drawn but given.
  Choice impose(int id, std::span<const float> logits_V, int num_top);
  /// Appends a token to the answer, for the penalties.
  void accept(int id);

 private:
  bool counts() const;
  bool adjusts() const;
  void adjust(std::span<const float> logits_V);
  void penalise();
  void report(std::span<const float> logits_V, int num_top, Choice& choice);

  SamplingParams params_;
  int vocab_size_;
  double inverse_temperature_ = 1;
  std::vector<int> seen_;                   // distinct ids of prompt and answer, with a repetition penalty
  std::vector<bool> is_seen_;               // by id, with a repetition penalty
  std::unordered_map<int, int> generated_;  // how often the answer holds an id, with a penalty on that
  std::vector<int> banned_;
  std::vector<float> adjusted_V_;
  LogitRow row_;
  std::vector<Candidate> candidates_;
  std::vector<int> ids_;
};

}  // namespace hadal
