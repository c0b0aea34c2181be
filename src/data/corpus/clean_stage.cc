#include "data/corpus/clean_stage.h"

#include <algorithm>
#include <future>
#include <numeric>

#include "base/json.h"
#include "base/progress.h"
#include "data/corpus/cpu_clock.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

// A block is the unit of work that a killed process loses, and of memory: a few times this. Of a large corpus blocks
// are larger, since each is mapped and the system allows 65530 maps.
constexpr std::int64_t kBlockBytes = std::int64_t{8} << 20, kMaxBlocks = 16384;
constexpr std::size_t kBlockRecords = 1 << 16;

/// Records that make a block.
struct Batch {
  std::vector<Record> records;
  RecordPosition behind;
  bool last = false;
  double seconds = 0;
};

Batch read_batch(RecordReader& reader, std::int64_t block_bytes) {
  CpuStopwatch watch(thread_cpu_seconds);
  Batch batch;
  std::int64_t bytes = 0;
  while (bytes < block_bytes && batch.records.size() < kBlockRecords) {
    Record record;
    if (!reader.next(record)) {
      batch.last = true;
      break;
    }
    bytes += static_cast<std::int64_t>(record.bytes.size());
    batch.records.push_back(std::move(record));
  }
  batch.behind = reader.position();
  batch.seconds = watch.lap();
  return batch;
}

/// Collects documents and counts of a block in the order of the records.
class BlockWriter {
 public:
  BlockWriter(const DataPrepareOptions& options, std::size_t source)
      : options_(options), source_(source), prefix_(options.sources[source].name + ".") {
    for (const std::string_view stage : kCleanStageNames) counts_.stage(stage);
  }

  void add(const Record& record, const std::string& where, CleanOutcome&& d) {
    for (std::size_t s = 0; s <= static_cast<std::size_t>(d.stage); ++s) {
      StageCount& stage = counts_.stage(kCleanStageNames[s]);
      const bool passed = s < static_cast<std::size_t>(d.stage) || !d.drop;
      ++stage.documents_in;
      stage.bytes_in += d.bytes[s];
      stage.documents_out += passed ? 1 : 0;
      // A stage gives what the next one gets.
      const std::size_t next = s + 1;
      stage.bytes_out += !passed                                     ? 0
                         : next <= static_cast<std::size_t>(d.stage) ? d.bytes[next]
                                                                     : static_cast<std::int64_t>(d.text.size());
      stage.seconds += d.seconds[s];
    }
    counts_.add("source." + prefix_ + "records", 1);
    counts_.add("masked.emails", d.masked.emails);
    counts_.add("masked.ips", d.masked.ips);
    counts_.add("masked.phones", d.masked.phones);
    counts_.add("boilerplate.lines_by_rule", d.boilerplate_lines);
    if (d.drop) return counts_.drop(d.drop->filter, where, d.drop->detail, d.text, options_.samples);
    counts_.add(str_cat("language.", kLanguageCodes[static_cast<std::size_t>(d.language)]), 1);
    counts_.add(str_cat("class.", kTextClassNames[static_cast<std::size_t>(d.text_class)]), 1);
    counts_.add("source." + prefix_ + "clean_documents", 1);
    texts_ += d.text;
    lines_.insert(lines_.end(), d.lines.begin(), d.lines.end());
    signatures_.push_back(d.signature);
    documents_.push_back({.hash_high = d.hash_high,
                          .hash_low = d.hash_low,
                          .text_end = texts_.size(),
                          .lines_end = lines_.size(),
                          .number = record.number,
                          .file = static_cast<std::uint32_t>(record.file),
                          .source = static_cast<std::uint16_t>(source_),
                          .language = static_cast<std::uint8_t>(d.language),
                          .text_class = static_cast<std::uint8_t>(d.text_class)});
  }

  void write(const fs::path& path, const Batch& batch) {
    counts_.stage("read").seconds += batch.seconds;
    const std::string summary = json_line(JsonObject{{"counts", counts_.to_json()},
                                                     {"file", batch.behind.file},
                                                     {"offset", batch.behind.offset},
                                                     {"number", batch.behind.number},
                                                     {"last", batch.last}});
    write_work_sections(path, documents_, texts_, signatures_, lines_, summary);
  }

 private:
  const DataPrepareOptions& options_;
  std::size_t source_;
  std::string prefix_;
  PrepareCounts counts_;
  std::vector<CleanDocument> documents_;
  std::string texts_;
  std::vector<MinHash> signatures_;
  std::vector<std::uint64_t> lines_;
};

CleanOutcome clean_record(const DocumentCleaner& cleaner, const Record& record, const TextFile& file,
                          const SourceOptions& source, const std::string& where,
                          DocumentCleaner::Workspace& workspace) {
  if (record.problem.empty()) return cleaner.clean(record.bytes, file.format, source, where, workspace);
  CleanOutcome outcome;
  outcome.drop = Drop{"read.unreadable", record.problem};
  return outcome;
}

/// Cleans one source; calls done(position) after each block.
class SourceCleaner {
 public:
  SourceCleaner(ThreadPool& pool, const DataPrepareOptions& options, const DocumentCleaner& cleaner,
                const SourceFiles& files, std::size_t source, std::int64_t block_bytes, fs::path folder)
      : pool_(pool),
        options_(options),
        cleaner_(cleaner),
        files_(files),
        source_(source),
        block_bytes_(block_bytes),
        folder_(std::move(folder)),
        workspaces_(static_cast<std::size_t>(pool.num_threads())),
        reader_(files.files,
                {.separator = options.sources[source].separator, .max_document_bytes = options.max_document_bytes}) {}

  void run(std::vector<fs::path>& blocks, const std::function<void(const RecordPosition&)>& done) {
    std::size_t block = 0;
    bool last = false;
    for (; !last && fs::exists(path_of(block)); ++block) {
      const CleanBlock found(path_of(block));
      const Json summary = parse_json(found.summary(), path_of(block).string());
      ObjectReader s(summary, path_of(block).string());
      const RecordPosition behind{s.get<std::int64_t>("file"), s.get<std::int64_t>("offset"),
                                  s.get<std::int64_t>("number")};
      last = s.get<bool>("last");
      blocks.push_back(path_of(block));
      if (!last && !fs::exists(path_of(block + 1))) reader_.seek(behind);
      done(behind);
    }
    if (last) return;
    // The next block is read while this one is cleaned.
    std::future<Batch> next = std::async(std::launch::async, [&] { return read_batch(reader_, block_bytes_); });
    for (; !last; ++block) {
      const Batch batch = next.get();
      last = batch.last;
      if (!last) next = std::async(std::launch::async, [&] { return read_batch(reader_, block_bytes_); });
      make_block(batch, path_of(block));
      blocks.push_back(path_of(block));
      done(batch.behind);
    }
  }

 private:
  fs::path path_of(std::size_t block) const { return folder_ / fmt::format("{:03}-{:06}.block", source_, block); }

  void make_block(const Batch& batch, const fs::path& path) {
    constexpr index_t kRecordsPerTask = 16;
    const auto count = static_cast<index_t>(batch.records.size());
    std::vector<CleanOutcome> outcomes(batch.records.size());
    const auto where = [&](const Record& record) {
      return str_cat(files_.files[static_cast<std::size_t>(record.file)].path.string(), ":", record.number);
    };
    pool_.parallel_for((count + kRecordsPerTask - 1) / kRecordsPerTask, [&](index_t task, int worker) {
      for (index_t i = task * kRecordsPerTask; i < std::min(count, (task + 1) * kRecordsPerTask); ++i) {
        const Record& record = batch.records[static_cast<std::size_t>(i)];
        outcomes[static_cast<std::size_t>(i)] =
            clean_record(cleaner_, record, files_.files[static_cast<std::size_t>(record.file)],
                         options_.sources[source_], where(record), workspaces_[static_cast<std::size_t>(worker)]);
      }
    });
    BlockWriter writer(options_, source_);
    for (std::size_t i = 0; i < outcomes.size(); ++i)
      writer.add(batch.records[i], where(batch.records[i]), std::move(outcomes[i]));
    writer.write(path, batch);
  }

  ThreadPool& pool_;
  const DataPrepareOptions& options_;
  const DocumentCleaner& cleaner_;
  const SourceFiles& files_;
  std::size_t source_;
  std::int64_t block_bytes_;
  fs::path folder_;
  std::vector<DocumentCleaner::Workspace> workspaces_;
  RecordReader reader_;
};

}  // namespace

std::vector<fs::path> clean_sources(ThreadPool& pool, const DataPrepareOptions& options, const DocumentCleaner& cleaner,
                                    const std::vector<SourceFiles>& sources, const fs::path& folder) {
  std::int64_t total = 0, before = 0;
  for (const SourceFiles& source : sources) total = std::accumulate(source.bytes.begin(), source.bytes.end(), total);
  const std::int64_t block_bytes = std::max(kBlockBytes, total / kMaxBlocks);
  fs::create_directories(folder);
  std::vector<fs::path> blocks;
  Progress progress("clean", total, "B");
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const std::vector<std::int64_t>& bytes = sources[s].bytes;
    SourceCleaner(pool, options, cleaner, sources[s], s, block_bytes, folder)
        .run(blocks, [&](const RecordPosition& at) {
          // By whole files and, of the one at hand, what was decompressed of it, which is about right.
          const auto file = std::min(static_cast<std::size_t>(at.file), bytes.size());
          const std::int64_t done =
              std::accumulate(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(file), before);
          progress.update(done + (file < bytes.size() ? std::min(at.offset, bytes[file]) : 0));
        });
    before = std::accumulate(bytes.begin(), bytes.end(), before);
  }
  return blocks;
}

}  // namespace hadal
