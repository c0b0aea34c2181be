#include "data/corpus/token_stage.h"

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/corpus/cpu_clock.h"
#include "data/corpus/text_scan.h"
#include "data/tokenizer/joint_tokens.h"
#include "data/tokenizer/presets.h"
#include "data/tokenizer/word_counter.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr index_t kDocumentsPerTask = 16;

struct Encoded {
  LineRemover::Kept kept;
  std::vector<int> ids;
  double line_seconds = 0, encode_seconds = 0;
  bool took_part = false;  // not dropped before
};

void write_block(const fs::path& path, const DataPrepareOptions& options, const CleanBlock& block,
                 const std::vector<SourceFiles>& sources, const std::vector<Encoded>& encoded) {
  PrepareCounts counts;
  StageCount lines, tokenize;
  std::vector<TokenDocument> documents;
  std::vector<int> ids;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const Encoded& e = encoded[i];
    if (!e.took_part) continue;
    const CleanDocument& document = block.documents()[i];
    ++lines.documents_in;
    lines.bytes_in += static_cast<std::int64_t>(block.text(i).size());
    lines.seconds += e.line_seconds;
    counts.add("boilerplate.lines_by_share", e.kept.boilerplate_lines);
    counts.add("dedup.lines", e.kept.duplicate_lines);
    if (e.kept.text.empty()) {
      counts.drop("dedup.lines.max_removed_share", where_of(sources, document),
                  fmt::format("{:.2f} of the text is in lines of earlier documents", e.kept.removed_share),
                  block.text(i), options.samples);
      continue;
    }
    const auto bytes = static_cast<std::int64_t>(e.kept.text.size());
    ++lines.documents_out;
    lines.bytes_out += bytes;
    tokenize.seconds += e.encode_seconds;
    counts.add("tokens", static_cast<std::int64_t>(e.ids.size()));
    counts.add(str_cat("tokens.language.", kLanguageCodes[document.language]), static_cast<std::int64_t>(e.ids.size()));
    counts.add(str_cat("tokens.class.", kTextClassNames[document.text_class]), static_cast<std::int64_t>(e.ids.size()));
    ids.insert(ids.end(), e.ids.begin(), e.ids.end());
    documents.push_back({.tokens_end = ids.size(),
                         .bytes = static_cast<std::uint32_t>(bytes),
                         .source = document.source,
                         .language = document.language,
                         .text_class = document.text_class});
  }
  tokenize.documents_in = tokenize.documents_out = lines.documents_out;
  tokenize.bytes_in = tokenize.bytes_out = lines.bytes_out;
  counts.stage("lines") = lines;
  counts.stage("tokenize") = tokenize;
  const std::string summary = json_line(counts.to_json());
  write_work_sections(path, documents, ids, summary);
}

}  // namespace

LineRemover::Kept LineRemover::keep(index_t document, std::string_view text) const {
  Kept kept;
  const std::vector<LineRemoval> removals = decisions_.removals(document);
  if (removals.empty()) {
    kept.text = text;
    return kept;
  }
  std::size_t removed = 0;
  for_each_line(text, [&](std::string_view line) {
    const std::uint64_t key = line_key(line, options_.min_bytes);
    const auto found =
        std::find_if(removals.begin(), removals.end(), [&](const LineRemoval& r) { return r.line == key; });
    if (found == removals.end()) {
      // The empty lines around a removed one do not add up.
      if (!line.empty() || !(kept.text.empty() || kept.text.ends_with("\n\n"))) (kept.text += line) += '\n';
    } else if (found->is_boilerplate != 0) {
      ++kept.boilerplate_lines;
    } else {
      ++kept.duplicate_lines;
      removed += line.size();
    }
  });
  while (kept.text.ends_with('\n')) kept.text.pop_back();
  kept.removed_share = static_cast<double>(removed) / static_cast<double>(text.size());
  if (kept.removed_share > options_.max_removed_share) kept.text.clear();
  return kept;
}

TokenizerFiles train_on_corpus(ThreadPool& pool, const TokenizerTrainOptions& options, const CleanCorpus& corpus,
                               const DedupDecisions& decisions, const LineRemover& remover) {
  WordCounter counter(preset_splits(options.preset));
  for (std::size_t b = 0; b < corpus.num_blocks(); ++b) {
    const CleanBlock& block = corpus.block(b);
    std::vector<std::string> texts(block.documents().size());
    pool.parallel_for(static_cast<index_t>(texts.size()), [&](index_t i, int) {
      const index_t d = corpus.block_begin(b) + i;
      if (decisions.fate(d) == Fate::kKept)
        texts[static_cast<std::size_t>(i)] = remover.keep(d, block.text(static_cast<std::size_t>(i))).text;
    });
    counter.add(pool, std::vector<std::string_view>(texts.begin(), texts.end()));
  }
  Progress progress("tokenizer", options.vocab_size, "id");
  TokenizerTrainResult result = train_tokenizer(
      counter.words(), options, [&](int done, int wanted) { progress.update(options.vocab_size - wanted + done); });
  if (result.num_unused > 0)
    log_warning("tokenizer: the text has pairs for ", result.num_merges, " merges only; ", result.num_unused,
                " ids stay reserved");
  return std::move(result.files);
}

std::vector<fs::path> encode_corpus(ThreadPool& pool, const DataPrepareOptions& options, const CleanCorpus& corpus,
                                    const std::vector<SourceFiles>& sources, const DedupDecisions& decisions,
                                    const Tokenizer& tokenizer, const fs::path& folder) {
  fs::create_directories(folder);
  const LineRemover remover(options.dedup.lines, decisions);
  const JointTokenSplitter joint(tokenizer);
  std::vector<fs::path> paths;
  Progress progress("tokenize", corpus.num_documents(), "doc");
  for (std::size_t b = 0; b < corpus.num_blocks(); ++b) {
    paths.push_back(folder / fmt::format("{:06}.tokens", b));
    const CleanBlock& block = corpus.block(b);
    if (!fs::exists(paths.back())) {
      const auto count = static_cast<index_t>(block.documents().size());
      std::vector<Encoded> encoded(static_cast<std::size_t>(count));
      pool.parallel_for((count + kDocumentsPerTask - 1) / kDocumentsPerTask, [&](index_t task, int) {
        for (index_t i = task * kDocumentsPerTask; i < std::min(count, (task + 1) * kDocumentsPerTask); ++i) {
          const index_t d = corpus.block_begin(b) + i;
          if (decisions.fate(d) != Fate::kKept) continue;
          Encoded& e = encoded[static_cast<std::size_t>(i)];
          CpuStopwatch watch(thread_cpu_seconds);
          e.took_part = true;
          e.kept = remover.keep(d, block.text(static_cast<std::size_t>(i)));
          e.line_seconds = watch.lap();
          tokenizer.encode_append(e.kept.text, e.ids);
          if (options.split_joint_tokens > 0)
            e.ids = joint.split(e.ids, options.split_joint_tokens, static_cast<std::uint64_t>(options.seed),
                                static_cast<std::uint64_t>(d));
          e.encode_seconds = watch.lap();
        }
      });
      write_block(paths.back(), options, block, sources, encoded);
    }
    progress.update(corpus.block_begin(b) + static_cast<index_t>(block.documents().size()));
  }
  return paths;
}

}  // namespace hadal
