#include "data/corpus/dedup_stage.h"

#include <algorithm>
#include <limits>

#include "base/json.h"
#include "base/progress.h"
#include "data/corpus/cpu_clock.h"
#include "data/corpus/key_groups.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

fs::path list_path(const fs::path& folder, std::int64_t i) {
  return folder / fmt::format("lines-{:04}.work", i);
}

Fingerprints fingerprints_of(const CleanCorpus& corpus, std::size_t num_sources) {
  Fingerprints prints;
  prints.num_documents = corpus.num_documents();
  prints.hash = [&](index_t d) {
    const CleanDocument& document = corpus.at(d).document();
    return Fingerprints::Hash{document.hash_high, document.hash_low};
  };
  prints.signature = [&](index_t d) -> const MinHash& {
    const CleanCorpus::Place place = corpus.at(d);
    return place.block.signature(place.index);
  };
  prints.lines = [&](index_t d) {
    const CleanCorpus::Place place = corpus.at(d);
    return place.block.lines(place.index);
  };
  // Documents stand source by source.
  prints.source_begins.assign(num_sources + 1, 0);
  for (std::size_t b = 0; b < corpus.num_blocks(); ++b)
    if (!corpus.block(b).documents().empty())
      prints.source_begins[corpus.block(b).documents()[0].source + std::size_t{1}] =
          corpus.block_begin(b) + static_cast<index_t>(corpus.block(b).documents().size());
  for (std::size_t s = 1; s <= num_sources; ++s)
    prints.source_begins[s] = std::max(prints.source_begins[s], prints.source_begins[s - 1]);
  return prints;
}

/// One pass over the documents for the counts of the stages, in the order in which documents are lost.
class StageCounter {
 public:
  StageCounter(const CleanCorpus& corpus, PrepareCounts& counts) : corpus_(corpus), counts_(counts) {}

  /// What `fate` took from the documents that were kept until then.
  void count(const char* name, std::span<const Fate> fates, Fate fate, double seconds, const char* filter,
             int max_samples, const std::function<std::string(index_t)>& where,
             const std::function<std::string(index_t)>& detail) {
    StageCount& stage = counts_.stage(name);
    stage.seconds += seconds;
    for (index_t d = 0; d < corpus_.num_documents(); ++d) {
      const Fate got = fates[static_cast<std::size_t>(d)];
      if (got != Fate::kKept && got < fate) continue;
      const CleanCorpus::Place place = corpus_.at(d);
      const auto bytes = static_cast<std::int64_t>(place.text().size());
      ++stage.documents_in;
      stage.bytes_in += bytes;
      if (got != fate) {
        ++stage.documents_out;
        stage.bytes_out += bytes;
        continue;
      }
      const auto& filters = counts_.filters();
      const auto found = filters.find(filter);
      const bool samples = found == filters.end() || static_cast<int>(found->second.samples.size()) < max_samples;
      counts_.drop(filter, samples ? where(d) : "", samples ? detail(d) : "", place.text(), max_samples);
    }
  }

 private:
  const CleanCorpus& corpus_;
  PrepareCounts& counts_;
};

}  // namespace

CleanCorpus::CleanCorpus(const std::vector<fs::path>& blocks) {
  begins_.push_back(0);
  for (const fs::path& path : blocks) {
    blocks_.emplace_back(path);
    begins_.push_back(begins_.back() + static_cast<index_t>(blocks_.back().documents().size()));
  }
  HADAL_CHECK(num_documents() < std::numeric_limits<std::uint32_t>::max(), "data prepare: ", num_documents(),
              " documents, want less than 2^32");
}

CleanCorpus::Place CleanCorpus::at(index_t document) const {
  const auto behind = std::upper_bound(begins_.begin(), begins_.end(), document);
  const auto b = static_cast<std::size_t>(behind - begins_.begin() - 1);
  return {blocks_[b], static_cast<std::size_t>(document - begins_[b])};
}

PrepareCounts CleanCorpus::counts(int max_samples) const {
  PrepareCounts counts;
  for (const CleanBlock& block : blocks_) {
    const Json summary = parse_json(block.summary(), "block");
    counts.merge(PrepareCounts::from_json(summary.at("counts"), "block"), max_samples);
  }
  return counts;
}

std::string where_of(const std::vector<SourceFiles>& sources, const CleanDocument& document) {
  return str_cat(sources[document.source].files[document.file].path.string(), ":", document.number);
}

DedupDecisions::DedupDecisions(const fs::path& folder) : file_(folder / "decisions.work") {
  const Json summary = parse_json(file_.text(1), "decisions.work");
  ObjectReader reader(summary, "decisions.work");
  counts_ = PrepareCounts::from_json(reader.value("counts"), "decisions.work");
  for (std::int64_t i = 0; i < reader.get<std::int64_t>("line_lists"); ++i) lists_.emplace_back(list_path(folder, i));
}

std::vector<LineRemoval> DedupDecisions::removals(index_t document) const {
  std::vector<LineRemoval> found;
  for (const WorkFile& list : lists_) {
    const std::span<const LineRemoval> all = list.section<LineRemoval>(0);
    auto at = std::lower_bound(all.begin(), all.end(), document, [](const LineRemoval& removal, index_t d) {
      return static_cast<index_t>(removal.document) < d;
    });
    for (; at != all.end() && static_cast<index_t>(at->document) == document; ++at) found.push_back(*at);
  }
  return found;
}

void decide_duplicates(ThreadPool& pool, const DataPrepareOptions& options, const CleanCorpus& corpus,
                       const std::vector<SourceFiles>& sources, const fs::path& folder) {
  if (fs::exists(folder / "decisions.work")) return;
  const std::int64_t max_records = (options.memory_mb << 20) / static_cast<std::int64_t>(sizeof(KeyRecord));
  const Fingerprints prints = fingerprints_of(corpus, sources.size());
  std::vector<Fate> fates(static_cast<std::size_t>(corpus.num_documents()), Fate::kKept);
  PrepareCounts counts;
  StageCounter counter(corpus, counts);
  const auto where = [&](index_t d) { return where_of(sources, corpus.at(d).document()); };
  Progress progress("dedup", 3, "pass");
  CpuStopwatch watch(process_cpu_seconds);

  if (options.dedup.exact) find_equal_documents(pool, prints, max_records, fates);
  counter.count("equal_documents", fates, Fate::kEqual, watch.lap(), "dedup.equal", options.samples, where,
                [](index_t) { return "an earlier document has the same text"; });
  progress.update(1);

  if (options.dedup.near.enabled) {
    std::vector<std::uint32_t> firsts;
    const NearDuplicateCounts near = find_near_duplicates(pool, prints, options.dedup.near, max_records, fates, firsts);
    counts.add("near.documents", near.documents);
    counts.add("near.by_bands", near.by_bands);
    counts.add("near.by_similarity", near.by_similarity);
    counts.add("near.pairs_compared", near.pairs_compared);
    counts.add("near.pairs_confirmed", near.pairs_confirmed);
    counter.count(
        "near_duplicates", fates, Fate::kNear, watch.lap(), "dedup.near", options.samples, where,
        [&](index_t d) { return str_cat("first of its cluster: ", where(firsts[static_cast<std::size_t>(d)])); });
  }
  progress.update(2);

  std::int64_t num_lists = 0;
  if (options.dedup.lines.enabled || options.boilerplate.enabled)
    find_line_duplicates(pool, prints, options.dedup.lines, options.boilerplate, max_records, fates,
                         [&](std::vector<LineRemoval>&& list) {
                           write_work_sections(list_path(folder, num_lists), list);
                           ++num_lists;
                         });
  counts.stage("lines").seconds += watch.lap();
  const std::string summary = json_line(JsonObject{{"counts", counts.to_json()}, {"line_lists", num_lists}});
  // Last: with it the stage is done.
  write_work_sections(folder / "decisions.work", fates, summary);
  progress.update(3);
}

}  // namespace hadal
