#pragma once
#include "infer/request.h"
#include "nn/model.h"

namespace hadal {

/// Sends an event (choice -1) for each token of the prompt that the states of positions [begin, begin + rows) predict.
void send_prompt_logprobs(Context& ctx, const Model& model, ConstView hidden_TD, std::uint64_t id,
                          const Request& request, index_t begin);

}  // namespace hadal
