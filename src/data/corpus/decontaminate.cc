#include "data/corpus/decontaminate.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "data/corpus/record_reader.h"

namespace hadal {
namespace {

constexpr std::uint64_t kBase = 0x9E3779B97F4A7C15ULL;

/// Calls take(hash, first word, last word) for the n-grams of words that have letters or digits, until it returns true.
template <class Take>
void for_each_ngram(const TextScan& scan, std::size_t n, Take&& take) {
  std::uint64_t power = 1;
  for (std::size_t i = 1; i < n; ++i) power *= kBase;
  std::vector<std::uint32_t> words;
  words.reserve(scan.words.size());
  std::uint64_t hash = 0;
  for (std::uint32_t w = 0; w < scan.words.size(); ++w) {
    if (scan.words[w].hash == 0) continue;
    if (words.size() >= n) hash -= scan.words[words[words.size() - n]].hash * power;
    hash = hash * kBase + scan.words[w].hash;
    words.push_back(w);
    // Zero marks free places of the table.
    if (words.size() >= n && take(hash | 1, words[words.size() - n], w)) return;
  }
}

}  // namespace

EvaluationNgrams::EvaluationNgrams(const DecontaminationOptions& options) {
  HADAL_CHECK(options.ngram >= 2, "decontaminate: ngram ", options.ngram, ", want at least 2");
  ngram_ = static_cast<std::size_t>(options.ngram);
  for (const std::string& input : options.files) {
    const std::vector<TextFile> files = find_text_files(input);
    RecordReader reader(files, {});
    std::vector<std::int64_t> texts(files.size());
    for (Record record; reader.next(record);) {
      const auto f = static_cast<std::size_t>(record.file);
      const std::string where = str_cat(files[f].path.string(), ":", record.number);
      HADAL_CHECK(record.problem.empty(), "decontaminate: ", where, ": ", record.problem);
      if (texts[f] == 0) files_.push_back(files[f].path.string());
      const auto number = static_cast<std::uint32_t>(files_.size() - 1);
      if (files[f].format != TextFormat::kJsonl) {
        add_text(record_text(record.bytes, files[f].format, "", where).value(), number);
        ++texts[f];
        continue;
      }
      const Json json = parse_json(record.bytes, where);
      const JsonObject* object = json.if_object();
      const std::int64_t before = num_texts_;
      for (const std::string& field : options.fields) {
        const Json* value = object == nullptr ? nullptr : object->if_contains(field);
        if (value == nullptr) continue;
        if (value->is_string()) add_text(value->get_string(), number);
        if (const JsonArray* list = value->if_array())
          for (const Json& item : *list)
            if (item.is_string()) add_text(item.get_string(), number);
      }
      HADAL_CHECK(num_texts_ > before, "decontaminate: ", where, ": none of the fields ",
                  json_line(JsonArray(options.fields.begin(), options.fields.end())));
      ++texts[f];
    }
  }
}

void EvaluationNgrams::add_text(std::string_view text, std::uint32_t file) {
  TextScan scan;
  scan_text(text, scan);
  const std::int64_t before = num_ngrams_;
  bool any = false;
  for_each_ngram(scan, ngram_, [&](std::uint64_t hash, std::uint32_t, std::uint32_t) {
    any = true;
    insert(hash, file);
    return false;
  });
  ++num_texts_;
  if (!any && num_ngrams_ == before) ++num_short_texts_;
}

void EvaluationNgrams::insert(std::uint64_t hash, std::uint32_t file) {
  if (2 * static_cast<std::size_t>(num_ngrams_ + 1) > entries_.size()) {
    std::vector<Entry> old(std::max<std::size_t>(2 * entries_.size(), 1024));
    old.swap(entries_);
    num_ngrams_ = 0;
    for (const Entry& entry : old)
      if (entry.hash != 0) insert(entry.hash, entry.file);
  }
  if (maybe_.empty()) maybe_.resize(kMaybeBits / 64);
  const std::uint64_t bit = hash >> 42;
  maybe_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  std::size_t i = (hash >> 20) & (entries_.size() - 1);
  while (entries_[i].hash != 0 && entries_[i].hash != hash) i = (i + 1) & (entries_.size() - 1);
  if (entries_[i].hash == hash) return;
  entries_[i] = {hash, file};
  ++num_ngrams_;
}

const std::uint32_t* EvaluationNgrams::lookup(std::uint64_t hash) const {
  const std::uint64_t bit = hash >> 42;
  if ((maybe_[bit / 64] >> (bit % 64) & 1) == 0) return nullptr;
  std::size_t i = (hash >> 20) & (entries_.size() - 1);
  while (entries_[i].hash != 0 && entries_[i].hash != hash) i = (i + 1) & (entries_.size() - 1);
  return entries_[i].hash == hash ? &entries_[i].file : nullptr;
}

std::optional<EvaluationNgrams::Match> EvaluationNgrams::find(const TextScan& scan) const {
  std::optional<Match> match;
  if (empty()) return match;
  for_each_ngram(scan, ngram_, [&](std::uint64_t hash, std::uint32_t first, std::uint32_t last) {
    const std::uint32_t* file = lookup(hash);
    if (file == nullptr) return false;
    const std::uint32_t begin = scan.words[first].begin;
    match = Match{files_[*file], scan.text.substr(begin, scan.words[last].end() - begin)};
    return true;
  });
  return match;
}

}  // namespace hadal
