#pragma once
// The most likely tokens of a teacher at every trained place of a shard, computed once and kept on disk.
#include <filesystem>
#include <optional>
#include <string>

#include "formats/safetensors.h"
#include "formats/sft_shard.h"
#include "nn/model.h"
#include "post/distill_loss.h"

namespace hadal {

/// What makes a file of teacher's logits the right one for a run.
struct TeacherKey {
  std::string model;        // of the teacher
  std::uint64_t shard = 0;  // SftShard::checksum
  int top_k = 32;
  double temperature = 1;
};

/// Runs the teacher over every sequence of the shard and writes, for each place with a target, the top_k most likely
/// tokens (ids i32) and their probabilities at the temperature (f32), in falling order; equal ones by id. 8 bytes a
/// token each, held in memory until they are written.
void write_teacher_logits(Context& ctx, Model& teacher, const SftShard& shard, const TeacherKey& key,
                          const std::filesystem::path& file);

class TeacherLogits {
 public:
  /// Throws Error when the file is not of this key, or malformed.
  TeacherLogits(const std::filesystem::path& file, const SftShard& shard, const TeacherKey& key);
  /// Whether `file` is there and of this key.
  static bool matches(const std::filesystem::path& file, const TeacherKey& key);
  /// The rows of a sequence's places with targets, in order.
  index_t num_rows(index_t sequence) const;
  TeacherRow row(index_t sequence, index_t i) const;

 private:
  SafetensorsFile file_;
  std::vector<index_t> begins_;  // [sequences + 1]
  Mat<const int> id_;
  Mat<const float> q_;
};

}  // namespace hadal
