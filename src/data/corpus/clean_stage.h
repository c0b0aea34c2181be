#pragma once
// The first stage: records of all sources through the cleaner, into files of documents.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "data/corpus/document_cleaner.h"
#include "data/corpus/prepare_counts.h"
#include "data/corpus/work_file.h"

namespace hadal {

/// A document of a block.
struct CleanDocument {
  std::uint64_t hash_high = 0, hash_low = 0;
  std::uint64_t text_end = 0, lines_end = 0;  // where its text and its lines end in their sections
  std::int64_t number = 0;                    // record in its file
  std::uint32_t file = 0;                     // of its source
  std::uint16_t source = 0;
  std::uint8_t language = 0, text_class = 0;
};
static_assert(sizeof(CleanDocument) == 48);

/// A block file: documents that were read one behind the other, and what was counted while they were.
class CleanBlock {
 public:
  explicit CleanBlock(const std::filesystem::path& path) : file_(path), documents_(file_.section<CleanDocument>(0)) {}
  std::span<const CleanDocument> documents() const { return documents_; }
  std::string_view text(std::size_t i) const {
    const std::uint64_t begin = i == 0 ? 0 : documents_[i - 1].text_end;
    return file_.text(1).substr(begin, documents_[i].text_end - begin);
  }
  const MinHash& signature(std::size_t i) const { return file_.section<MinHash>(2)[i]; }
  std::span<const std::uint64_t> lines(std::size_t i) const {
    const std::uint64_t begin = i == 0 ? 0 : documents_[i - 1].lines_end;
    return file_.section<std::uint64_t>(3).subspan(begin, documents_[i].lines_end - begin);
  }
  /// {"counts", "file", "offset", "number", "last"}: the position of the reader behind the block.
  std::string_view summary() const { return file_.text(4); }

 private:
  WorkFile file_;
  std::span<const CleanDocument> documents_;
};

/// The inputs of a source.
struct SourceFiles {
  std::vector<TextFile> files;
  std::vector<std::int64_t> bytes;
};

/// Cleans all sources into folder/<source>-<block>.block and returns these paths, in order. Blocks that are there are
/// not made again, so a process that was killed goes on with the block it was at. Blocks begin and end by the records'
/// bytes only.
std::vector<std::filesystem::path> clean_sources(ThreadPool& pool, const DataPrepareOptions& options,
                                                 const DocumentCleaner& cleaner,
                                                 const std::vector<SourceFiles>& sources,
                                                 const std::filesystem::path& folder);

}  // namespace hadal
