#include "data/tokenizer/train_on_files.h"

#include <fmt/ranges.h>

#include "base/log.h"
#include "base/progress.h"
#include "data/tokenizer/presets.h"

namespace hadal {
namespace {

constexpr std::size_t kPendingBytes = std::size_t{64} << 20;

std::int64_t bytes_of_files(const std::vector<std::string>& inputs) {
  std::int64_t bytes = 0;
  for (const std::string& input : inputs)
    for (const TextFile& file : find_text_files(input))
      bytes += static_cast<std::int64_t>(std::filesystem::file_size(file.path));
  return bytes;
}

void count_words(ThreadPool& pool, const TokenizerTrainJob& job, WordCounter& counter, TextReadCounts& counts) {
  // The text inside JSON or HTML is less than the files; the last line of progress says so.
  Progress progress("tokenizer: words", bytes_of_files(job.inputs), "B");
  std::vector<std::string> texts;
  std::size_t pending = 0;
  const auto count_pending = [&] {
    counter.add(pool, std::vector<std::string_view>(texts.begin(), texts.end()));
    texts.clear();
    pending = 0;
    progress.update(static_cast<std::int64_t>(counter.bytes_seen()));
  };
  for (const std::string& input : job.inputs)
    read_documents(input, job.read, counts, [&](std::string&& text) {
      pending += text.size();
      texts.push_back(std::move(text));
      if (pending > kPendingBytes) count_pending();
    });
  count_pending();
}

}  // namespace

TokenizerTrainReport train_tokenizer_on_files(ThreadPool& pool, const TokenizerTrainJob& job) {
  const TokenizerTrainOptions& options = job.train;
  check_train_options(options);  // before hours of reading
  TokenizerTrainReport report;
  WordCounter counter(preset_splits(options.preset));
  count_words(pool, job, counter, report.read);
  HADAL_CHECK(counter.bytes_seen() > 0, "tokenizer: no text in ", fmt::format("{}", fmt::join(job.inputs, ", ")));
  if (report.read.bad_documents > 0)
    log_warning(report.read.bad_documents, " lines could not be used; the first: ", report.read.first_bad);
  report.forgotten = static_cast<std::int64_t>(counter.forgotten());
  const std::vector<WordCount> words = counter.words();
  report.words = static_cast<std::int64_t>(words.size());
  Progress progress("tokenizer: merges", options.vocab_size, "id");
  report.result = train_tokenizer(words, options,
                                  [&](int done, int wanted) { progress.update(options.vocab_size - wanted + done); });
  return report;
}

}  // namespace hadal
