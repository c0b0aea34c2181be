#pragma once
// Supervised fine-tuning on conversations: cross-entropy of what the model would have said (docs/sft_data.md).
#include "data/sft/prepare.h"
#include "data/sft/sft_loader.h"
#include "post/post_run.h"

namespace hadal {

struct SftInputOptions {
  std::vector<std::string> input, validation;
  std::string prepared, template_file, too_long = "drop";
  bool pack = true;
  MaskOptions mask;
  template <class V>
  void visit(V&& v) {
    v("input", input, "conversations: JSON lines, or .json files with one array", {.placeholder = "FILE"});
    v("prepared", prepared, "folder of hadal sft-data prepare, in place of input", {.placeholder = "DIR"});
    v("validation", validation, "held-out conversations", {.placeholder = "FILE"});
    v("template_file", template_file, "use this Jinja template, not the tokenizer's", {.placeholder = "FILE"});
    v("too_long", too_long, "conversations longer than seq_length: drop, or cut their end off",
      {.choices = {"drop", "cut"}});
    v("pack", pack, "several conversations in one sequence, isolated from each other");
    mask.visit(v);
  }
};

/// Shards of packed conversations, ready for a run.
struct SftData {
  SftShard train;
  std::optional<SftShard> validation;
  std::string chat_template;  // that they were rendered with
  JsonObject manifest;        // with a "hash"
};

/// Opens what is prepared, or prepares the inputs into folder/data (the same bytes every time). Throws Error.
SftData open_sft_data(ThreadPool& pool, const SftInputOptions& options, const std::filesystem::path& model,
                      int seq_length, std::int64_t seed, const std::filesystem::path& folder);

/// The mean cross-entropy of all targets of a shard.
double mean_loss(Context& ctx, Model& model, const SftShard& shard, int pad_id);

class SftTask : public PostTask {
 public:
  /// data must outlive the task.
  SftTask(const SftData& data, const Tokenizer& tokenizer, std::int64_t seed);
  std::int64_t items_per_epoch() const override { return loader_.sequences_per_epoch(); }
  Batch batch(std::int64_t first, std::int64_t count) override { return loader_.batch(first, count); }
  JsonObject validate(Context& ctx, Model& model) override;

 protected:
  const SftData& data_;
  int pad_id_;
  SftLoader loader_;
};

}  // namespace hadal
