#include "train/needle.h"

#include <algorithm>

#include "base/random.h"

namespace hadal {
namespace {

/// `count` tokens of whole documents, beginning with document `first`.
std::vector<int> haystack_tokens(const TokenShard& shard, index_t first, std::size_t count) {
  std::vector<int> tokens;
  for (index_t d = first; tokens.size() < count; d = (d + 1) % shard.num_documents())
    for (index_t i = 0; i < shard.document_length(d) && tokens.size() < count; ++i) tokens.push_back(shard.token(d, i));
  return tokens;
}

std::string with_number(std::string_view sentence, const std::string& number) {
  const std::size_t place = sentence.find("{}");
  HADAL_CHECK(place != std::string_view::npos, "needle: \"", sentence, "\" has no {} for the number");
  return str_cat(sentence.substr(0, place), number, sentence.substr(place + 2));
}

/// Share of `answer` that the model ranks first behind `prompt`.
double share_found(Context& ctx, Model& model, std::vector<int> prompt, const std::vector<int>& answer) {
  const auto prompt_length = static_cast<index_t>(prompt.size());
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  ctx.scratch.reset();
  const auto rows = static_cast<index_t>(prompt.size()), answers = static_cast<index_t>(answer.size());
  const View hidden = ctx.temp(rows, model.config().hidden_size),
             logits = ctx.temp_wide(answers, model.config().vocab_size);
  model.forward(ctx, hidden, prompt);
  model.logits(ctx, logits, hidden.slice_rows(prompt_length - 1, answers));
  int found = 0;
  for (index_t i = 0; i < answers; ++i) {
    const auto row = logits.as<float>().row(i);
    found += std::max_element(row.begin(), row.end()) - row.begin() == answer[static_cast<std::size_t>(i)] ? 1 : 0;
  }
  return static_cast<double>(found) / static_cast<double>(answers);
}

}  // namespace

JsonObject NeedleGrid::to_json() const {
  JsonArray rows;
  for (const std::vector<double>& row : scores) rows.push_back(JsonArray(row.begin(), row.end()));
  return {{"lengths", JsonArray(lengths.begin(), lengths.end())},
          {"depths", JsonArray(depths.begin(), depths.end())},
          {"scores", rows}};
}

NeedleGrid needle_grid(Context& ctx, Model& model, const Tokenizer& tokenizer, const TokenShard& haystack,
                       const NeedleOptions& options, std::uint64_t seed) {
  NeedleGrid grid{options.lengths, options.depths, {}};
  std::uint64_t trial = 0;
  for (const double depth : options.depths) {
    std::vector<double>& row = grid.scores.emplace_back();
    for (const int length : options.lengths) {
      double sum = 0;
      for (int i = 0; i < options.trials; ++i, ++trial) {
        const std::string number = std::to_string(10000 + random_below(seed, Stream::kSample, trial, 90000));
        const std::vector<int> needle = tokenizer.encode(with_number(options.needle, number));
        const std::vector<int> question = tokenizer.encode(options.question);
        std::vector<int> answer = tokenizer.encode(options.question + " " + number);
        answer.erase(answer.begin(),
                     answer.begin() + static_cast<std::ptrdiff_t>(std::min(question.size(), answer.size() - 1)));
        const std::size_t fixed = needle.size() + question.size() + answer.size();
        HADAL_CHECK(static_cast<std::size_t>(length) > fixed, "needle: length ", length, " has no room for ", fixed,
                    " tokens of needle and question");
        const std::size_t room = static_cast<std::size_t>(length) - fixed;
        const auto first = static_cast<index_t>(
            random_below(seed + 1, Stream::kSample, trial, static_cast<std::uint64_t>(haystack.num_documents())));
        std::vector<int> prompt = haystack_tokens(haystack, first, room);
        prompt.insert(prompt.begin() + static_cast<std::ptrdiff_t>(depth * static_cast<double>(room)), needle.begin(),
                      needle.end());
        prompt.insert(prompt.end(), question.begin(), question.end());
        sum += share_found(ctx, model, std::move(prompt), answer);
      }
      row.push_back(sum / options.trials);
    }
  }
  return grid;
}

}  // namespace hadal
