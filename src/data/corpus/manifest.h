#pragma once
// manifest.json of a prepared corpus: what went in, what each stage did, what came out.
#include <string>
#include <vector>

#include "base/json.h"
#include "data/corpus/shard_stage.h"

namespace hadal {

struct ManifestInputs {
  const DataPrepareOptions& options;
  const std::vector<SourceFiles>& sources;
  const std::vector<std::vector<std::string>>& hashes;  // of each file of each source
  const PrepareCounts& counts;
  const EvaluationNgrams& evaluation;
  const ShardPlan& plan;
  const std::vector<ShardSummary>& train;
  const std::vector<ShardSummary>& validation;
  std::string tokenizer_hash;
  int vocab_size = 0;
  std::string key;
  double wall_seconds = 0;
  int threads = 1;
};

/// All of it. Everything but "speed" and "options" is a function of inputs and options.
JsonObject data_manifest(const ManifestInputs& inputs);

/// The filters that dropped most, for a message.
std::string summary_line(const PrepareCounts& counts);

}  // namespace hadal
