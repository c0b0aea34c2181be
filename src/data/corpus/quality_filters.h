#pragma once
// Rules that tell text worth learning from from the rest.
#include <optional>
#include <string>
#include <string_view>

#include "data/corpus/filter_options.h"
#include "data/corpus/hash_counter.h"
#include "data/corpus/language.h"
#include "data/corpus/text_scan.h"

namespace hadal {

/// Why a document is dropped.
struct Drop {
  std::string filter;  // "gopher.min_words": group and option
  std::string detail;  // what was measured: "31 words, want at least 50"
};
using Verdict = std::optional<Drop>;

/// Whether the language is written without spaces, so that characters are counted in place of words.
bool is_unspaced(Language language);

/// Gopher's rules on words, signs and lines.
Verdict gopher_filter(const TextScan& scan, Language language, const GopherOptions& options);

/// Gopher's rules on repetition. An n-gram is repeated where it occurred before; characters of overlapping ones count
/// once, so a larger n never gives a larger share. `counter` is memory to work in.
Verdict repetition_filter(const TextScan& scan, Language language, const RepetitionOptions& options,
                          HashCounter& counter);

/// FineWeb's own rules.
Verdict fineweb_filter(const TextScan& scan, const FinewebOptions& options, HashCounter& counter);

/// For Chinese and Japanese.
Verdict chinese_filter(const TextScan& scan, Language language, const ChineseOptions& options);

/// C4: rules on documents. Its rules on lines are in boilerplate.h.
Verdict c4_filter(const TextScan& scan, const C4Options& options);

}  // namespace hadal
