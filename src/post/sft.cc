#include "post/sft.h"

#include <algorithm>

#include "base/file.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// Any id will do: nothing is predicted from or to padding.
int padding_id(const Tokenizer& tokenizer) {
  return std::max(tokenizer.pad_id(), 0);
}

}  // namespace

SftData open_sft_data(ThreadPool& pool, const SftInputOptions& options, const fs::path& model, int seq_length,
                      std::int64_t seed, const fs::path& folder) {
  HADAL_CHECK(options.input.empty() != options.prepared.empty(), "give one of input and prepared");
  const auto prepare = [&](const std::vector<std::string>& input, const fs::path& out) {
    SftDataOptions o;
    o.input = input, o.tokenizer = model.string(), o.template_file = options.template_file;
    o.too_long = options.too_long, o.seq_len = seq_length, o.pack = options.pack, o.seed = seed;
    o.mask = options.mask, o.out = out.string();
    prepare_sft_data(pool, o);
    return out;
  };
  const fs::path train =
      options.prepared.empty() ? prepare(options.input, folder / "data") : fs::path(options.prepared);
  SftData data{.train = SftShard(train / "sft.shard"),
               .validation = {},
               .chat_template = read_file(train / "chat_template.jinja"),
               .manifest = {}};
  HADAL_CHECK(data.train.capacity() == seq_length, "seq_length is ", seq_length, ", ", train.string(),
              " is packed into sequences of ", data.train.capacity());
  const Json manifest = read_json_file(train / "manifest.json");
  data.manifest = manifest.as_object();
  data.manifest["hash"] = fmt::format("xxh3:{:016x}", data.train.checksum());
  if (!options.validation.empty())
    data.validation.emplace(prepare(options.validation, folder / "validation") / "sft.shard");
  return data;
}

double mean_loss(Context& ctx, Model& model, const SftShard& shard, int pad_id) {
  const SftLoader loader(shard, /*seed=*/0, pad_id);
  double sum = 0;
  std::int64_t targets = 0;
  for (index_t s = 0; s < loader.sequences_per_epoch(); ++s) {
    const Batch batch = loader.batch(s, 1);
    const ArenaScope scope(ctx.saved);
    const View loss = ctx.keep_wide(1, static_cast<index_t>(batch.ids.size()));
    model.evaluate(ctx, loss, batch);
    sum += sum_of(loss);
    targets += std::count_if(batch.targets.begin(), batch.targets.end(), [](int t) { return t >= 0; });
  }
  return sum / static_cast<double>(std::max<std::int64_t>(targets, 1));
}

SftTask::SftTask(const SftData& data, const Tokenizer& tokenizer, std::int64_t seed)
    : data_(data), pad_id_(padding_id(tokenizer)), loader_(data.train, static_cast<std::uint64_t>(seed), pad_id_) {}

JsonObject SftTask::validate(Context& ctx, Model& model) {
  if (!data_.validation) return {};
  return {{"loss", mean_loss(ctx, model, *data_.validation, pad_id_)}};
}

}  // namespace hadal
