#pragma once
// What chat and completions have in common.
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "infer/request.h"
#include "serve/openai/fields.h"

namespace hadal {

struct RequestFields {
  std::string model;
  bool stream = false, include_usage = false;
  int n = 1;
  std::optional<std::int64_t> max_tokens;  // nothing: as many as fit
  std::optional<std::uint64_t> seed;
  SamplingParams sampling;  // but for the seed
  StopParams stop;          // but for max_tokens and repetition_guard
  std::optional<int> repetition_guard;
  std::vector<std::string> unknown;
};

/// Reads the shared fields: model, stream, stream_options, n, temperature, top_p, top_k, min_p, typical_p,
/// top_n_sigma, the penalties, logit_bias, seed, stop, stop_token_ids, min_tokens, ignore_eos, repetition_guard. Fields
/// of which every value has no effect here (user, metadata, ...) are accepted. A stop text that is the name of a
/// control token also stops at this token.
RequestFields read_request_fields(Fields& fields, const Tokenizer& tokenizer);

}  // namespace hadal
