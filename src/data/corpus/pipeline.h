#pragma once
// `hadal data prepare`: from files of text to shards of training sequences.
#include "base/json.h"
#include "base/parallel.h"
#include "data/corpus/pipeline_options.h"

namespace hadal {

struct DataPrepareResult {
  JsonObject manifest;  // out/manifest.json
  bool reused = false;  // it was there already, of the same inputs and options
};

/// Reads, cleans, filters, deduplicates, encodes, mixes and packs the sources, and writes
///   out/tokenizer/     the tokenizer's files
///   out/shards/        train-NNNNN.shard and validation-NNNNN.shard
///   out/manifest.json  last: counts in and out of each stage, samples of what each filter dropped, hashes, speed
///   out/report.html    the same, to look at
///   out/work/          files between the stages, removed at the end
/// The bytes of the shards do not depend on the number of threads. A process that was killed at any moment is continued
/// by the same call, with the same bytes; other inputs or options begin anew. Throws Error on a wrong option, an input
/// that is missing, or when nothing is left to write.
DataPrepareResult data_prepare(ThreadPool& pool, DataPrepareOptions options);

}  // namespace hadal
