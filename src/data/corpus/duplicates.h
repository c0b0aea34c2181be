#pragma once
// Which documents and lines are there already: equal documents, near-duplicates, lines of many documents.
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "data/corpus/filter_options.h"
#include "data/corpus/minhash.h"

namespace hadal {

struct NearDuplicateOptions {
  bool enabled = true;
  int ngram = 5, bands = 14, rows = 8;
  int loose_bands = 64, loose_rows = 3;
  double min_similarity = 0.3;
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "drop near-duplicates");
    v("ngram", ngram, "words of a shingle (Chinese, Japanese: characters)");
    v("bands", bands, "documents with all minima of a band in common are near-duplicates");
    v("rows", rows, "minima of a band; bands * rows is at most 112");
    v("loose_bands", loose_bands, "bands that only nominate pairs, to be compared by all 112 minima; 0: none");
    v("loose_rows", loose_rows, "minima of such a band");
    v("min_similarity", min_similarity, "share of equal minima from which a nominated pair counts");
  }
};

struct LineDuplicateOptions {
  bool enabled = true;
  int min_bytes = 60;
  std::int64_t max_documents = 1;
  double max_removed_share = 0.5;
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "remove lines that earlier documents have");
    v("min_bytes", min_bytes, "shorter lines stay");
    v("max_documents", max_documents, "lines of at most so many documents stay; of others, only in the first one");
    v("max_removed_share", max_removed_share, "drop documents of which a larger share is lines that were removed");
  }
};

/// What deduplication needs to know of a corpus; the spans are views, one element a document.
struct Fingerprints {
  struct Hash {
    std::uint64_t high = 0, low = 0;
  };
  index_t num_documents = 0;
  std::function<Hash(index_t)> hash;  // of the text
  std::function<const MinHash&(index_t)> signature;
  std::function<std::span<const std::uint64_t>(index_t)> lines;  // keys (line_key) of lines to look at
  std::vector<index_t> source_begins;                            // [sources + 1] first document of each
};

enum class Fate : std::uint8_t { kKept, kEqual, kNear };

/// Marks documents whose text an earlier one has.
void find_equal_documents(ThreadPool& pool, const Fingerprints& prints, std::int64_t max_records,
                          std::span<Fate> fates);

struct NearDuplicateCounts {
  std::int64_t documents = 0;      // kept ones that were compared
  std::int64_t by_bands = 0;       // dropped by equal bands
  std::int64_t by_similarity = 0;  // and further ones by a nomination that was confirmed
  std::int64_t pairs_compared = 0, pairs_confirmed = 0;
};
/// Marks all but the first document of each cluster of near-duplicates; firsts[d] becomes the first one of d's cluster.
/// A cluster is what links join; documents with another fate than kKept take no part.
NearDuplicateCounts find_near_duplicates(ThreadPool& pool, const Fingerprints& prints,
                                         const NearDuplicateOptions& options, std::int64_t max_records,
                                         std::span<Fate> fates, std::vector<std::uint32_t>& firsts);

/// What lines are compared by: their hash, with the lowest bit for lines of at least `min_bytes`. 0 for blank lines,
/// which are nobody's.
std::uint64_t line_key(std::string_view line, int min_bytes);

/// A line to be removed from a document.
struct LineRemoval {
  std::uint32_t document = 0;
  std::uint32_t is_boilerplate = 0;  // else: an earlier document has it
  std::uint64_t line = 0;            // its key
};
/// Finds lines of kept documents that many documents have. Gives them in a list for each sweep over the corpus, sorted
/// by document and line.
void find_line_duplicates(ThreadPool& pool, const Fingerprints& prints, const LineDuplicateOptions& lines,
                          const BoilerplateOptions& boilerplate, std::int64_t max_records, std::span<const Fate> fates,
                          const std::function<void(std::vector<LineRemoval>&&)>& take);

}  // namespace hadal
