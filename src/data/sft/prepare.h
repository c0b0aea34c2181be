#pragma once
// From files of conversations to a shard that fine-tuning reads.
#include <string>
#include <vector>

#include "base/json.h"
#include "base/parallel.h"
#include "data/sft/encoder.h"

namespace hadal {

struct SftDataOptions {
  std::vector<std::string> input;
  std::string tokenizer, template_file, out, too_long = "drop";
  int seq_len = 4096;
  bool pack = true;
  std::int64_t seed = 1;
  MaskOptions mask;

  template <class V>
  void visit(V&& v) {
    v("input", input, "JSON lines, or .json files with one array; conversations in any known shape",
      {.required = true, .placeholder = "FILE"});
    v("tokenizer", tokenizer, "folder or tokenizer.json of the model", {.required = true, .placeholder = "PATH"});
    v("template_file", template_file, "use this Jinja template, not the tokenizer's", {.placeholder = "FILE"});
    v("seq_len", seq_len, "tokens of a sequence at most");
    v("too_long", too_long, "conversations longer than that: drop, or cut their end off", {.choices = {"drop", "cut"}});
    v("pack", pack, "several conversations in one sequence, isolated from each other");
    v("seed", seed, "of the order in which conversations are packed");
    mask.visit(v);
  }
};

struct SftSample {
  MaskedSample tokens;
  index_t source = 0;  // the record, counted from 0 over all inputs
};

struct SftCounts {
  index_t records = 0, bad = 0, too_long = 0, cut = 0, untrained = 0;
  index_t tokens = 0, trained_tokens = 0, turns = 0, turns_without_end = 0, borders_differ = 0, reasoning_lost = 0;
  std::vector<std::string> problems;  // the first of the bad records: "file:line: reason"
};

/// What the inputs hold, encoded by all threads of the pool; in the order of the inputs. `limit`: stop after so many
/// records (0: none). Records that cannot be used are counted, not fatal. Throws Error when none can be used.
std::vector<SftSample> encode_records(ThreadPool& pool, const SftEncoder& encoder, const SftDataOptions& options,
                                      index_t limit, SftCounts& counts);

/// Writes out/sft.shard, out/manifest.json and out/chat_template.jinja; the result is the manifest. A function of the
/// inputs' bytes, the tokenizer and the options, not of the number of threads.
JsonObject prepare_sft_data(ThreadPool& pool, const SftDataOptions& options);

/// The template that the options name.
ChatTemplate sft_template(const SftDataOptions& options, const Tokenizer& tokenizer);

}  // namespace hadal
