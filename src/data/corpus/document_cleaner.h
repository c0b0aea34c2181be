#pragma once
// From one record to one document that is worth keeping, or to the reason why it is not.
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/corpus/boilerplate.h"
#include "data/corpus/language.h"
#include "data/corpus/minhash.h"
#include "data/corpus/pipeline_options.h"
#include "data/corpus/quality_filters.h"
#include "data/corpus/record_reader.h"
#include "data/corpus/text_class.h"

namespace hadal {

/// The stages that look at one document alone, in order.
enum class CleanStage : std::uint8_t {
  kRead,
  kClean,
  kLanguage,
  kBoilerplate,
  kQuality,
  kDecontaminate,
  kMask,
  kFingerprint
};
inline constexpr std::size_t kNumCleanStages = 8;
inline constexpr std::array<std::string_view, kNumCleanStages> kCleanStageNames = {
    "read", "clean", "language", "boilerplate", "quality", "decontaminate", "mask", "fingerprint"};

/// What became of a record.
struct CleanOutcome {
  Verdict drop;                                       // why there is no document
  CleanStage stage = CleanStage::kRead;               // the last that saw it
  std::array<std::int64_t, kNumCleanStages> bytes{};  // that each stage got
  std::array<double, kNumCleanStages> seconds{};
  std::string text;  // of the document; when it is dropped, what the dropping stage got
  Language language = Language::kUnknown;
  TextClass text_class = TextClass::kProse;
  PiiCounts masked;
  std::int64_t boilerplate_lines = 0;
  std::uint64_t hash_high = 0, hash_low = 0;  // of the text
  MinHash signature{};
  std::vector<std::uint64_t> lines;  // line_key of each line; none of code
};

/// Immutable; used by many threads at once, each with a workspace.
class DocumentCleaner {
 public:
  /// Reads the evaluation sets. Throws Error when an option is wrong.
  explicit DocumentCleaner(const DataPrepareOptions& options);

  struct Workspace {
    TextScan scan;
    HashCounter counter;
    std::vector<std::uint64_t> words;
  };
  CleanOutcome clean(std::string_view record, TextFormat format, const SourceOptions& source, std::string_view where,
                     Workspace& workspace) const;
  const EvaluationNgrams& evaluation_ngrams() const { return evaluation_; }

 private:
  Verdict quality(const CleanOutcome& document, Workspace& workspace) const;
  void remove_boilerplate(CleanOutcome& document, Workspace& workspace) const;
  void fingerprint(CleanOutcome& document, Workspace& workspace) const;
  bool is_wanted(Language language) const;

  const DataPrepareOptions& options_;
  PhraseFinder phrases_;
  EvaluationNgrams evaluation_;
  std::vector<Language> keep_, drop_;
  std::array<bool, kNumTextClasses> filtered_{};
};

}  // namespace hadal
