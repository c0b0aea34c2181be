#pragma once
// The second stage: what is there already, over all documents at once.
#include <filesystem>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "data/corpus/clean_stage.h"
#include "data/corpus/duplicates.h"

namespace hadal {

/// All blocks of cleaned documents, under one numbering.
class CleanCorpus {
 public:
  explicit CleanCorpus(const std::vector<std::filesystem::path>& blocks);

  index_t num_documents() const { return begins_.back(); }
  std::size_t num_blocks() const { return blocks_.size(); }
  const CleanBlock& block(std::size_t b) const { return blocks_[b]; }
  index_t block_begin(std::size_t b) const { return begins_[b]; }
  struct Place {
    const CleanBlock& block;
    std::size_t index;
    const CleanDocument& document() const { return block.documents()[index]; }
    std::string_view text() const { return block.text(index); }
  };
  Place at(index_t document) const;
  /// What all blocks counted.
  PrepareCounts counts(int max_samples) const;

 private:
  std::vector<CleanBlock> blocks_;
  std::vector<index_t> begins_;
};

/// What the stage decided, in files.
class DedupDecisions {
 public:
  explicit DedupDecisions(const std::filesystem::path& folder);
  Fate fate(index_t document) const { return file_.section<Fate>(0)[static_cast<std::size_t>(document)]; }
  /// Keys of the lines that a document loses; `is_boilerplate` as in LineRemoval.
  std::vector<LineRemoval> removals(index_t document) const;
  const PrepareCounts& counts() const { return counts_; }

 private:
  WorkFile file_;
  std::vector<WorkFile> lists_;
  PrepareCounts counts_;
};

/// Where a record is from, for people.
std::string where_of(const std::vector<SourceFiles>& sources, const CleanDocument& document);

/// Writes the decisions into the folder unless they are there.
void decide_duplicates(ThreadPool& pool, const DataPrepareOptions& options, const CleanCorpus& corpus,
                       const std::vector<SourceFiles>& sources, const std::filesystem::path& folder);

}  // namespace hadal
