#pragma once
// The third stage: documents that are kept, without the lines they lose, as token ids.
#include <filesystem>
#include <vector>

#include "base/parallel.h"
#include "data/corpus/dedup_stage.h"
#include "data/tokenizer/tokenizer.h"

namespace hadal {

/// A document of a token block.
struct TokenDocument {
  std::uint64_t tokens_end = 0;
  std::uint32_t bytes = 0;  // of text
  std::uint16_t source = 0;
  std::uint8_t language = 0, text_class = 0;
};
static_assert(sizeof(TokenDocument) == 16);

class TokenBlock {
 public:
  explicit TokenBlock(const std::filesystem::path& path) : file_(path) {}
  std::span<const TokenDocument> documents() const { return file_.section<TokenDocument>(0); }
  std::span<const int> tokens(std::size_t i) const {
    const std::uint64_t begin = i == 0 ? 0 : documents()[i - 1].tokens_end;
    return file_.section<int>(1).subspan(begin, documents()[i].tokens_end - begin);
  }
  std::string_view summary() const { return file_.text(2); }

 private:
  WorkFile file_;
};

/// Takes lines out of documents as the decisions say.
class LineRemover {
 public:
  LineRemover(const LineDuplicateOptions& options, const DedupDecisions& decisions)
      : options_(options), decisions_(decisions) {}
  struct Kept {
    std::string text;  // empty: the document is dropped
    std::int64_t boilerplate_lines = 0, duplicate_lines = 0;
    double removed_share = 0;  // bytes of duplicate lines
  };
  Kept keep(index_t document, std::string_view text) const;

 private:
  const LineDuplicateOptions& options_;
  const DedupDecisions& decisions_;
};

/// Trains a tokenizer on what is kept.
TokenizerFiles train_on_corpus(ThreadPool& pool, const TokenizerTrainOptions& options, const CleanCorpus& corpus,
                               const DedupDecisions& decisions, const LineRemover& remover);

/// Encodes all blocks into folder/<block>.tokens and returns these paths. Blocks that are there are not made again.
std::vector<std::filesystem::path> encode_corpus(ThreadPool& pool, const DataPrepareOptions& options,
                                                 const CleanCorpus& corpus, const std::vector<SourceFiles>& sources,
                                                 const DedupDecisions& decisions, const Tokenizer& tokenizer,
                                                 const std::filesystem::path& folder);

}  // namespace hadal
