#pragma once
#include <vector>

#include "base/json.h"
#include "data/tokenizer/tokenizer.h"
#include "formats/token_shard.h"
#include "nn/model.h"

namespace hadal {

/// Needle in a haystack (DeepSeek-V3 report figure 8): a sentence with a number stands at a depth of a long text, and
/// the model is asked for the number at the end.
struct NeedleOptions {
  std::vector<int> lengths;
  std::vector<double> depths = {0, 0.25, 0.5, 0.75, 1};
  int trials = 4;
  std::string needle = " The secret number is {}. ", question = " The secret number is";
  template <class V>
  void visit(V&& v) {
    v("lengths", lengths, "context lengths in tokens; empty: none");
    v("depths", depths, "where the needle stands, 0 the beginning, 1 the end");
    v("trials", trials, "needles per cell");
    v("needle", needle, "sentence to hide; {} stands for the number");
    v("question", question, "what the model has to continue");
  }
};

/// Scores 0-1: the share of the number's tokens that the model ranks first, each after the right ones before it. The
/// haystack is text of the shard.
struct NeedleGrid {
  std::vector<int> lengths;
  std::vector<double> depths;
  std::vector<std::vector<double>> scores;  // [depth][length]
  JsonObject to_json() const;
};
NeedleGrid needle_grid(Context& ctx, Model& model, const Tokenizer& tokenizer, const TokenShard& haystack,
                       const NeedleOptions& options, std::uint64_t seed);

}  // namespace hadal
