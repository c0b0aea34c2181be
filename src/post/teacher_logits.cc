#include "post/teacher_logits.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/log.h"
#include "base/progress.h"
#include "data/sft/sft_loader.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> metadata_of(const TeacherKey& key) {
  return {{"teacher", key.model},
          {"shard", fmt::format("{:016x}", key.shard)},
          {"top_k", str_cat(key.top_k)},
          {"temperature", str_cat(key.temperature)}};
}

/// The top_k largest of a row, by logit and then by id, and their probabilities.
void top_of(std::span<const float> logits, double temperature, std::span<int> id, std::span<float> q) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](int a, int b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(id.size()), order.end(), before);
  const double top = logits[static_cast<std::size_t>(order[0])];
  double sum = 0;
  for (const float v : logits) sum += std::exp((v - top) / temperature);
  for (std::size_t i = 0; i < id.size(); ++i) {
    id[i] = order[i];
    q[i] = static_cast<float>(std::exp((logits[static_cast<std::size_t>(order[i])] - top) / temperature) / sum);
  }
}

/// Where the rows of each sequence begin.
std::vector<index_t> row_begins(const SftShard& shard) {
  std::vector<index_t> begins = {0};
  std::vector<int> ids;
  std::vector<char> trained;
  for (index_t s = 0; s < shard.num_sequences(); ++s) {
    index_t rows = 0;
    const auto [begin, end] = shard.sequence(s);
    for (index_t sample = begin; sample < end; ++sample) {
      ids.clear(), trained.clear();
      shard.read(sample, ids, trained);
      if (!trained.empty()) rows += std::count(trained.begin() + 1, trained.end(), 1);
    }
    begins.push_back(begins.back() + rows);
  }
  return begins;
}

}  // namespace

void write_teacher_logits(Context& ctx, Model& teacher, const SftShard& shard, const TeacherKey& key,
                          const fs::path& file) {
  HADAL_CHECK(key.top_k > 0 && key.top_k <= teacher.config().vocab_size, "top_k: got ", key.top_k, ", want 1 to ",
              teacher.config().vocab_size);
  const std::vector<index_t> begins = row_begins(shard);
  const index_t rows = begins.back(), k = key.top_k;
  log_info("the teacher's ", k, " most likely tokens at ", rows, " places");
  Tensor id(DType::kI32, rows, k), q(DType::kF32, rows, k);
  const SftLoader loader(shard, /*seed=*/0, /*pad_id=*/0);
  Progress progress("teacher", shard.num_sequences(), "sequence", 0);
  for (index_t place = 0; place < shard.num_sequences(); ++place) {
    const Batch batch = loader.batch(place, 1);
    index_t row = begins[static_cast<std::size_t>(loader.sequence_at(place))];
    teacher.evaluate_logits(ctx, batch, [&](const kernels::LogitsChunk& chunk) {
      std::vector<index_t> row_of(static_cast<std::size_t>(chunk.logits_RV.rows), -1);
      for (index_t r = 0; r < chunk.logits_RV.rows; ++r)
        if (batch.targets[static_cast<std::size_t>(chunk.begin + r)] >= 0) row_of[static_cast<std::size_t>(r)] = row++;
      ctx.exec.pool.parallel_for(chunk.logits_RV.rows, [&](index_t r, int) {
        const index_t to = row_of[static_cast<std::size_t>(r)];
        if (to >= 0)
          top_of(chunk.logits_RV.as<float>().row(r), key.temperature, id.view().as<int>().row(to),
                 q.view().as<float>().row(to));
      });
    });
    progress.update(place + 1, "");
  }
  progress.finish();
  fs::create_directories(file.parent_path());
  write_safetensors(file, {{"id", DType::kI32, {rows, k}, id.view()}, {"q", DType::kF32, {rows, k}, q.view()}},
                    metadata_of(key));
}

bool TeacherLogits::matches(const fs::path& file, const TeacherKey& key) {
  if (!fs::exists(file)) return false;
  const SafetensorsFile stored(file);
  return std::ranges::all_of(metadata_of(key), [&](const auto& entry) {
    const auto found = stored.metadata().find(entry.first);
    return found != stored.metadata().end() && found->second == entry.second;
  });
}

TeacherLogits::TeacherLogits(const fs::path& file, const SftShard& shard, const TeacherKey& key)
    : file_(file), begins_(row_begins(shard)) {
  HADAL_CHECK(matches(file, key), file.string(), ": not of this teacher, shard, top_k and temperature");
  const auto tensor = [&](const char* name, DType dtype) {
    const auto found = file_.tensors().find(name);
    HADAL_CHECK(found != file_.tensors().end() && found->second.dtype == dtype &&
                    found->second.shape == std::vector<index_t>({begins_.back(), key.top_k}),
                file.string(), ": ", name, " is missing, or not [", begins_.back(), ", ", key.top_k, "]");
    return found->second.view();
  };
  id_ = tensor("id", DType::kI32).as<int>();
  q_ = tensor("q", DType::kF32).as<float>();
}

index_t TeacherLogits::num_rows(index_t sequence) const {
  return begins_[static_cast<std::size_t>(sequence) + 1] - begins_[static_cast<std::size_t>(sequence)];
}

TeacherRow TeacherLogits::row(index_t sequence, index_t i) const {
  const index_t row = begins_[static_cast<std::size_t>(sequence)] + i;
  return {id_.row(row), q_.row(row)};
}

}  // namespace hadal
