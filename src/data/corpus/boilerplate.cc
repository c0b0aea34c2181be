#include "data/corpus/boilerplate.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "data/corpus/word_table.h"

namespace hadal {

PhraseFinder::PhraseFinder(const std::vector<std::string>& phrases) {
  for (const std::string& phrase : phrases) {
    std::vector<std::uint64_t>& hashes = phrases_.emplace_back();
    for_each_word(phrase, [&](std::uint64_t hash) { hashes.push_back(hash); });
    HADAL_CHECK(!hashes.empty(), "boilerplate: the phrase \"", phrase, "\" has no words");
  }
  // By first word, so that one look tells whether any phrase begins with a word.
  std::sort(phrases_.begin(), phrases_.end());
}

bool PhraseFinder::found_in(const TextScan& scan, const Line& line) const {
  for (std::uint32_t w = line.first_word; w < line.behind_word; ++w) {
    const std::uint64_t first = scan.words[w].hash;
    auto phrase = std::lower_bound(phrases_.begin(), phrases_.end(), first,
                                   [](const auto& hashes, std::uint64_t hash) { return hashes.front() < hash; });
    for (; phrase != phrases_.end() && phrase->front() == first; ++phrase) {
      if (phrase->size() <= line.behind_word - w &&
          std::equal(phrase->begin(), phrase->end(), scan.words.begin() + w,
                     [](std::uint64_t hash, const Word& word) { return hash == word.hash; }))
        return true;
    }
  }
  return false;
}

bool c4_removes(const TextScan& scan, const Line& line, const C4Options& options) {
  const auto first = scan.words.begin() + line.first_word, behind = scan.words.begin() + line.behind_word;
  if (behind - first < options.min_words_per_line) return true;
  if (std::any_of(first, behind,
                  [&](const Word& word) { return word.length > static_cast<std::uint32_t>(options.max_word_length); }))
    return true;
  if (!options.terminal_punctuation) return false;
  const std::string_view text = scan.text.substr(line.begin, (behind - 1)->end() - line.begin);
  return std::string_view(".!?\"").find(text.back()) == std::string_view::npos && !text.ends_with("\u201D");
}

}  // namespace hadal
