#include "data/corpus/document_cleaner.h"

#include <xxhash.h>

#include <algorithm>

#include "data/corpus/cpu_clock.h"

namespace hadal {
namespace {

/// Gives each stage the time and the bytes that it took.
class StageClock {
 public:
  explicit StageClock(CleanOutcome& document) : document_(document) {}
  void begin(CleanStage stage, std::size_t bytes) {
    stop();
    document_.stage = stage;
    document_.bytes[static_cast<std::size_t>(stage)] = static_cast<std::int64_t>(bytes);
  }
  void stop() { document_.seconds[static_cast<std::size_t>(document_.stage)] += watch_.lap(); }

 private:
  CleanOutcome& document_;
  CpuStopwatch watch_{thread_cpu_seconds};
};

}  // namespace

DocumentCleaner::DocumentCleaner(const DataPrepareOptions& options)
    : options_(options), phrases_(options.boilerplate.phrases), evaluation_(options.decontaminate) {
  for (const std::string& code : options.language.keep) keep_.push_back(parse_language(code));
  for (const std::string& code : options.language.drop) drop_.push_back(parse_language(code));
  for (const std::string& name : options.filters.classes)
    filtered_[static_cast<std::size_t>(parse_text_class(name))] = true;
  for (const SourceOptions& source : options.sources) {
    if (!source.language.empty()) parse_language(source.language);
    if (!source.text_class.empty()) parse_text_class(source.text_class);
  }
}

bool DocumentCleaner::is_wanted(Language language) const {
  if (!keep_.empty() && std::find(keep_.begin(), keep_.end(), language) == keep_.end()) return false;
  return std::find(drop_.begin(), drop_.end(), language) == drop_.end();
}

CleanOutcome DocumentCleaner::clean(std::string_view record, TextFormat format, const SourceOptions& source,
                                    std::string_view where, Workspace& w) const {
  CleanOutcome d;
  StageClock clock(d);
  const auto dropped = [&](Verdict why) {
    d.drop = std::move(why);
    clock.stop();
    return std::move(d);
  };
  clock.begin(CleanStage::kRead, record.size());
  Result<std::string> raw = record_text(record, format, source.text_field, where);
  if (!raw.ok()) {
    d.text = record;
    return dropped(Drop{"read.bad_record", raw.message()});
  }
  d.text = std::move(raw).value();

  clock.begin(CleanStage::kClean, d.text.size());
  Result<std::string> cleaned = clean_text(d.text, options_.clean);
  if (!cleaned.ok()) return dropped(Drop{"clean.ill_formed", cleaned.message()});
  d.text = std::move(cleaned).value();
  if (d.text.empty()) return dropped(Drop{"clean.empty", "nothing is left"});

  clock.begin(CleanStage::kLanguage, d.text.size());
  scan_text(d.text, w.scan);
  d.text_class = source.text_class.empty() ? classify_text(w.scan) : parse_text_class(source.text_class);
  const LanguageGuess guess =
      source.language.empty() ? identify_language(w.scan) : LanguageGuess{parse_language(source.language), 1.0};
  d.language = guess.language;
  // The words of code are no language.
  if (d.text_class != TextClass::kCode) {
    const std::string detail =
        fmt::format("{} ({:.2f})", kLanguageCodes[static_cast<std::size_t>(guess.language)], guess.confidence);
    if (!is_wanted(guess.language)) return dropped(Drop{"language.unwanted", detail});
    if (guess.confidence < options_.language.min_confidence) return dropped(Drop{"language.min_confidence", detail});
  }

  clock.begin(CleanStage::kBoilerplate, d.text.size());
  remove_boilerplate(d, w);
  if (d.text.empty()) return dropped(Drop{"clean.empty", "nothing but boilerplate"});

  clock.begin(CleanStage::kQuality, d.text.size());
  if (source.filter && filtered_[static_cast<std::size_t>(d.text_class)])
    if (Verdict verdict = quality(d, w)) return dropped(std::move(verdict));

  clock.begin(CleanStage::kDecontaminate, d.text.size());
  if (const auto match = evaluation_.find(w.scan))
    return dropped(Drop{"decontaminate.ngram", str_cat(match->file, ": ", match->words)});

  clock.begin(CleanStage::kMask, d.text.size());
  d.masked = mask_pii(d.text, options_.pii);

  clock.begin(CleanStage::kFingerprint, d.text.size());
  fingerprint(d, w);
  clock.stop();
  return d;
}

void DocumentCleaner::remove_boilerplate(CleanOutcome& d, Workspace& w) const {
  if (d.text_class == TextClass::kCode) return;
  const BoilerplateOptions& o = options_.boilerplate;
  const C4Options& c4 = options_.filters.c4;
  const bool c4_lines = c4.enabled && filtered_[static_cast<std::size_t>(d.text_class)] && !is_unspaced(d.language);
  if (!o.enabled && !c4_lines) return;
  std::optional<RemovedLines> removed = remove_lines(w.scan, [&](const Line& line) {
    if (o.enabled && static_cast<int>(line.behind_word - line.first_word) <= o.max_line_words &&
        phrases_.found_in(w.scan, line))
      return true;
    return c4_lines && c4_removes(w.scan, line, c4);
  });
  if (!removed) return;
  d.boilerplate_lines = removed->lines;
  d.text = std::move(removed->text);
  scan_text(d.text, w.scan);
}

Verdict DocumentCleaner::quality(const CleanOutcome& d, Workspace& w) const {
  const FilterOptions& f = options_.filters;
  if (is_unspaced(d.language)) {
    if (f.chinese.enabled)
      if (Verdict v = chinese_filter(w.scan, d.language, f.chinese)) return v;
  } else {
    if (f.gopher.enabled)
      if (Verdict v = gopher_filter(w.scan, d.language, f.gopher)) return v;
    if (f.c4.enabled)
      if (Verdict v = c4_filter(w.scan, f.c4)) return v;
    if (f.fineweb.enabled)
      if (Verdict v = fineweb_filter(w.scan, f.fineweb, w.counter)) return v;
  }
  if (f.repetition.enabled) return repetition_filter(w.scan, d.language, f.repetition, w.counter);
  return std::nullopt;
}

void DocumentCleaner::fingerprint(CleanOutcome& d, Workspace& w) const {
  const XXH128_hash_t hash = XXH3_128bits(d.text.data(), d.text.size());
  d.hash_high = hash.high64;
  d.hash_low = hash.low64;
  // Of the text before masking, whose words are the ones at hand; place holders would make documents alike.
  word_hashes(w.scan, w.words);
  d.signature.fill(0);
  if (options_.dedup.near.enabled && !w.words.empty()) d.signature = min_hash(w.words, options_.dedup.near.ngram);
  if ((!options_.dedup.lines.enabled && !options_.boilerplate.enabled) || d.text_class == TextClass::kCode) return;
  for_each_line(d.text,
                [&](std::string_view line) { d.lines.push_back(line_key(line, options_.dedup.lines.min_bytes)); });
}

}  // namespace hadal
