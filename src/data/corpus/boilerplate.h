#pragma once
// Lines that are not the document's own: notices of sites, and what C4's rules on lines leave out.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/corpus/filter_options.h"
#include "data/corpus/text_scan.h"

namespace hadal {

/// Finds phrases in lines, by words: letter case and punctuation make no difference.
class PhraseFinder {
 public:
  /// Throws Error on a phrase without words.
  explicit PhraseFinder(const std::vector<std::string>& phrases);
  bool found_in(const TextScan& scan, const Line& line) const;

 private:
  std::vector<std::vector<std::uint64_t>> phrases_;
};

/// The text without the lines that `drop` says, and how many those were; nothing when it drops none.
struct RemovedLines {
  std::string text;
  std::int64_t lines = 0;
};
template <class Predicate>
std::optional<RemovedLines> remove_lines(const TextScan& scan, Predicate&& drop) {
  std::optional<RemovedLines> result;
  std::uint32_t copied = 0;
  for (const Line& line : scan.lines) {
    if (!drop(line)) continue;
    if (!result) result.emplace();
    ++result->lines;
    result->text += scan.text.substr(copied, line.begin - copied);
    copied = std::min<std::uint32_t>(line.end + 1, static_cast<std::uint32_t>(scan.text.size()));
    // The empty lines around a removed line do not add up.
    if ((result->text.empty() || result->text.ends_with("\n\n")) && scan.text.substr(copied).starts_with('\n'))
      ++copied;
  }
  if (!result) return result;
  result->text += scan.text.substr(copied);
  while (result->text.ends_with('\n')) result->text.pop_back();
  return result;
}

/// Whether C4 removes the line.
bool c4_removes(const TextScan& scan, const Line& line, const C4Options& options);

}  // namespace hadal
