#include "infer/prompt_logprobs.h"

#include <algorithm>

#include "infer/logit_row.h"

namespace hadal {

void send_prompt_logprobs(Context& ctx, const Model& model, ConstView hidden_TD, std::uint64_t id,
                          const Request& request, index_t begin) {
  constexpr index_t kRows = 32;  // logits held at a time
  LogitRow row;
  std::vector<int> likeliest;
  const index_t rows = std::min(hidden_TD.rows, static_cast<index_t>(request.prompt.size()) - 1 - begin);
  for (index_t first = 0; first < rows; first += kRows) {
    const ArenaScope scope(ctx.scratch);
    const index_t count = std::min(kRows, rows - first);
    const View logits = ctx.temp_wide(count, model.config().vocab_size);
    model.logits(ctx, logits, hidden_TD.slice_rows(first, count));
    for (index_t i = 0; i < count; ++i) {
      row.assign(logits.slice_rows(i, 1).flat<float>());
      const double norm = row.log_sum_exp();
      const auto logprob = [&](int token) {
        return TokenLogprob{token, static_cast<float>(static_cast<double>(row[token]) - norm)};
      };
      TokenEvent event;
      event.request = id, event.choice = -1;
      event.token = request.prompt[static_cast<std::size_t>(begin + first + i + 1)];
      event.logprob = logprob(event.token);
      row.likeliest(std::max(request.logprobs, 0), likeliest);
      for (const int token : likeliest) event.top.push_back(logprob(token));
      if (request.sink) request.sink(event);
    }
  }
}

}  // namespace hadal
