// Gopher's filter on repetition (contract in quality_filters.h).
#include <fmt/format.h>

#include <algorithm>

#include "data/corpus/quality_filters.h"

namespace hadal {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole <= 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

Verdict over(std::string filter, double got, double wanted) {
  return Drop{std::move(filter), fmt::format("share {:.4g}, want at most {:.4g}", got, wanted)};
}

struct Repeated {
  std::int64_t count = 0, bytes = 0, all_count = 0, all_bytes = 0;
};

Repeated repeated_lines(const TextScan& scan, HashCounter& counter) {
  Repeated r;
  counter.reset(scan.lines.size());
  for (const Line& line : scan.lines) {
    const std::string_view text = scan.text.substr(line.begin, line.end - line.begin);
    const auto bytes = static_cast<std::int64_t>(text.size());
    const bool again = counter.add(line_hash(text)) > 0;
    ++r.all_count;
    r.all_bytes += bytes;
    r.count += again ? 1 : 0;
    r.bytes += again ? bytes : 0;
  }
  return r;
}

/// Paragraphs are what empty lines part.
Repeated repeated_paragraphs(const TextScan& scan, HashCounter& counter) {
  Repeated r;
  counter.reset(scan.lines.size());
  for (std::size_t first = 0; first < scan.lines.size();) {
    std::size_t last = first;
    while (last + 1 < scan.lines.size() && scan.lines[last + 1].begin == scan.lines[last].end + 1) ++last;
    const std::string_view text =
        scan.text.substr(scan.lines[first].begin, scan.lines[last].end - scan.lines[first].begin);
    const auto bytes = static_cast<std::int64_t>(text.size());
    const bool again = counter.add(line_hash(text)) > 0;
    ++r.all_count;
    r.all_bytes += bytes;
    r.count += again ? 1 : 0;
    r.bytes += again ? bytes : 0;
    first = last + 1;
  }
  return r;
}

/// The words of a text and the hashes of their n-grams, for n that grows.
class Ngrams {
 public:
  explicit Ngrams(const TextScan& scan) : scan_(scan) {
    hashes_.reserve(scan.words.size());
    for (const Word& word : scan.words) hashes_.push_back(word.hash);
    grams_ = hashes_;
  }
  void grow_to(std::size_t n) {
    for (; n_ < n; ++n_)
      for (std::size_t i = 0; i + n_ < hashes_.size(); ++i)
        grams_[i] = grams_[i] * 0x9E3779B97F4A7C15ULL + hashes_[i + n_];
  }
  std::size_t size() const { return hashes_.size() < n_ ? 0 : hashes_.size() - n_ + 1; }
  std::uint64_t hash(std::size_t i) const { return grams_[i]; }
  std::int64_t bytes(std::size_t i) const { return scan_.words[i + n_ - 1].end() - scan_.words[i].begin; }

  /// Bytes in the most frequent n-gram, all its places together; 0 when none occurs twice.
  std::int64_t top_bytes(HashCounter& counter) const {
    counter.reset(size());
    std::uint32_t most = 1;
    std::int64_t best = 0;
    for (std::size_t i = 0; i < size(); ++i) {
      const std::uint32_t count = counter.add(hash(i)) + 1;
      if (count < 2 || count < most) continue;
      const std::int64_t all = bytes(i) * count;
      best = count > most ? all : std::max(best, all);
      most = count;
    }
    return best;
  }

  /// Bytes in n-grams that occurred before, overlaps once.
  std::int64_t repeated_bytes(HashCounter& counter) const {
    counter.reset(size());
    std::int64_t sum = 0;
    std::uint32_t covered = 0;  // up to this byte
    for (std::size_t i = 0; i < size(); ++i) {
      if (counter.add(hash(i)) == 0) continue;
      const std::uint32_t begin = std::max(scan_.words[i].begin, covered), end = scan_.words[i + n_ - 1].end();
      sum += end - begin;
      covered = end;
    }
    return sum;
  }

 private:
  const TextScan& scan_;
  std::size_t n_ = 1;
  std::vector<std::uint64_t> hashes_, grams_;
};

}  // namespace

Verdict repetition_filter(const TextScan& scan, Language language, const RepetitionOptions& o, HashCounter& counter) {
  const Repeated lines = repeated_lines(scan, counter);
  if (ratio(lines.count, lines.all_count) > o.max_duplicate_lines)
    return over("repetition.max_duplicate_lines", ratio(lines.count, lines.all_count), o.max_duplicate_lines);
  if (ratio(lines.bytes, lines.all_bytes) > o.max_duplicate_line_chars)
    return over("repetition.max_duplicate_line_chars", ratio(lines.bytes, lines.all_bytes), o.max_duplicate_line_chars);
  const Repeated paragraphs = repeated_paragraphs(scan, counter);
  if (ratio(paragraphs.count, paragraphs.all_count) > o.max_duplicate_paragraphs)
    return over("repetition.max_duplicate_paragraphs", ratio(paragraphs.count, paragraphs.all_count),
                o.max_duplicate_paragraphs);
  if (ratio(paragraphs.bytes, paragraphs.all_bytes) > o.max_duplicate_paragraph_chars)
    return over("repetition.max_duplicate_paragraph_chars", ratio(paragraphs.bytes, paragraphs.all_bytes),
                o.max_duplicate_paragraph_chars);

  // A Chinese word has about two characters.
  const std::size_t scale = is_unspaced(language) ? 2 : 1;
  const auto bytes = static_cast<std::int64_t>(scan.text.size());
  Ngrams grams(scan);
  for (std::size_t i = 0; i < o.max_top_ngram_chars.size(); ++i) {
    grams.grow_to(scale * (i + 2));
    const double share = ratio(grams.top_bytes(counter), bytes);
    if (share > o.max_top_ngram_chars[i])
      return over(fmt::format("repetition.max_top_ngram_chars[{}]", i), share, o.max_top_ngram_chars[i]);
  }
  const std::vector<double>& limits = o.max_duplicate_ngram_chars;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    grams.grow_to(scale * (i + 5));
    const double share = ratio(grams.repeated_bytes(counter), bytes);
    if (share > limits[i]) return over(fmt::format("repetition.max_duplicate_ngram_chars[{}]", i), share, limits[i]);
    // Larger n give no larger shares.
    if (share <= *std::min_element(limits.begin() + static_cast<std::ptrdiff_t>(i), limits.end())) break;
  }
  return std::nullopt;
}

}  // namespace hadal
