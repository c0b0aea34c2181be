#include "data/corpus/duplicates.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <set>

#include "base/random.h"
#include "data/corpus/text_scan.h"

namespace hadal {
namespace {

std::uint64_t draw(std::uint64_t index, std::uint64_t n) {
  return random_below(11, Stream::kTest, index, n);
}

/// A corpus of word numbers, as fingerprints.
struct Corpus {
  std::vector<std::vector<std::uint64_t>> documents;
  std::vector<MinHash> signatures;
  std::vector<std::vector<std::uint64_t>> lines;
  std::vector<index_t> source_begins;

  Fingerprints prints() {
    signatures.clear();
    for (const auto& words : documents) signatures.push_back(words.empty() ? MinHash{} : min_hash(words, 5));
    lines.resize(documents.size());
    if (source_begins.empty()) source_begins = {0, static_cast<index_t>(documents.size())};
    Fingerprints p;
    p.num_documents = static_cast<index_t>(documents.size());
    p.hash = [this](index_t d) {
      const auto& words = documents[static_cast<std::size_t>(d)];
      const XXH128_hash_t h = XXH3_128bits(words.data(), words.size() * 8);
      return Fingerprints::Hash{h.high64, h.low64};
    };
    p.signature = [this](index_t d) -> const MinHash& { return signatures[static_cast<std::size_t>(d)]; };
    p.lines = [this](index_t d) { return std::span<const std::uint64_t>(lines[static_cast<std::size_t>(d)]); };
    p.source_begins = source_begins;
    return p;
  }
};

/// The stated set: 2000 texts of 100 to 500 words; frequent words are frequent as in a language (Zipf, 20000 words).
/// 500 of them are followed, anywhere later, by a copy in which each word was changed with probability 0.1: half of the
/// edits put another word there, a quarter leave the word out, a quarter put one before it.
Corpus planted(std::set<index_t>& copies) {
  Corpus corpus;
  std::uint64_t k = 0;
  const auto word = [&] {
    const double u = static_cast<double>(draw(k++, 1U << 30)) / (1U << 30);
    return static_cast<std::uint64_t>(std::exp(u * std::log(20000.0))) * 0x9E3779B97F4A7C15ULL + 1;
  };
  for (int d = 0; d < 2000; ++d) {
    auto& words = corpus.documents.emplace_back();
    for (std::uint64_t n = 100 + draw(k++, 401); n > 0; --n) words.push_back(word());
  }
  for (int c = 0; c < 500; ++c) {
    copies.insert(static_cast<index_t>(corpus.documents.size()));
    std::vector<std::uint64_t> copy;
    for (const std::uint64_t w : corpus.documents[static_cast<std::size_t>(4 * c)]) {
      const std::uint64_t edit = draw(k++, 40);
      if (edit == 0) continue;
      if (edit == 1) copy.push_back(word());
      copy.push_back(edit == 2 || edit == 3 ? word() : w);
    }
    corpus.documents.push_back(copy);
  }
  return corpus;
}

TEST(NearDuplicates, PlantedOnesAreFoundAndOthersAreNot) {
  std::set<index_t> copies;
  Corpus corpus = planted(copies);
  const Fingerprints prints = corpus.prints();
  ThreadPool pool(2);
  std::vector<Fate> fates(corpus.documents.size(), Fate::kKept);
  std::vector<std::uint32_t> firsts;
  const NearDuplicateCounts counts = find_near_duplicates(pool, prints, {}, 1 << 20, fates, firsts);
  int found = 0, wrong = 0;
  for (std::size_t d = 0; d < fates.size(); ++d) {
    const bool is_copy = copies.contains(static_cast<index_t>(d));
    if (fates[d] == Fate::kNear) ++(is_copy ? found : wrong);
    if (fates[d] == Fate::kNear && is_copy) {
      EXPECT_EQ(firsts[d], 4 * (d - 2000));
    }
  }
  EXPECT_GE(found, 475) << "of 500";  // 95%
  EXPECT_LT(wrong, 20) << "of 2000";  // 1%
  RecordProperty("found", found);
  RecordProperty("wrong", wrong);
  EXPECT_EQ(counts.by_bands + counts.by_similarity, found + wrong);
  EXPECT_EQ(counts.documents, 2500);

  // As many sweeps as the memory asks for, as many threads as there are: the same.
  for (const std::int64_t memory : {std::int64_t{5000}, std::int64_t{60000}}) {
    ThreadPool one(1);
    std::vector<Fate> again(corpus.documents.size(), Fate::kKept);
    const NearDuplicateCounts other = find_near_duplicates(one, prints, {}, memory, again, firsts);
    EXPECT_EQ(again, fates);
    EXPECT_EQ(other.by_bands, counts.by_bands);
    EXPECT_EQ(other.pairs_compared, counts.pairs_compared);
  }
}

TEST(NearDuplicates, BandsAloneFindWhatIsMoreAlike) {
  // One word in a hundred: J is about 0.9, which 14 bands of 8 find nearly always.
  Corpus corpus;
  std::uint64_t k = 0;
  for (int d = 0; d < 200; ++d) {
    auto& words = corpus.documents.emplace_back();
    for (int i = 0; i < 300; ++i) words.push_back(draw(k++, 1U << 30));
  }
  for (std::size_t d = 0; d < 200; ++d) {
    auto copy = corpus.documents[d];
    for (int i = 0; i < 3; ++i) copy[draw(k++, 300)] = 5;
    corpus.documents.push_back(copy);
  }
  ThreadPool pool(2);
  std::vector<Fate> fates(400, Fate::kKept);
  std::vector<std::uint32_t> firsts;
  const auto counts = find_near_duplicates(pool, corpus.prints(), {.loose_bands = 0}, 1 << 20, fates, firsts);
  EXPECT_GE(counts.by_bands, 197);
  EXPECT_EQ(counts.by_similarity, 0);
  EXPECT_EQ(std::count(fates.begin(), fates.begin() + 200, Fate::kNear), 0);
}

TEST(MinHash, EstimatesJaccard) {
  // Sets of 5-grams that share a part: a text and its first half with another second one.
  std::vector<std::uint64_t> a, b;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    a.push_back(draw(i, 1U << 30));
    b.push_back(i < 1000 ? a.back() : draw(10000 + i, 1U << 30));
  }
  EXPECT_NEAR(similarity(min_hash(a, 5), min_hash(b, 5)), 996.0 / (2 * 1996 - 996), 0.13);
  EXPECT_EQ(similarity(min_hash(a, 5), min_hash(a, 5)), 1.0);
  const std::uint64_t word = 7;
  EXPECT_EQ(min_hash({&word, 1}, 5), min_hash({&word, 1}, 3));
}

TEST(EqualDocuments, AllButTheFirstGo) {
  Corpus corpus;
  for (const std::uint64_t v : {1, 2, 1, 3, 2, 1}) corpus.documents.push_back({v, v});
  ThreadPool pool(2);
  for (const std::int64_t memory : {1, 100}) {
    std::vector<Fate> fates(6, Fate::kKept);
    find_equal_documents(pool, corpus.prints(), memory, fates);
    EXPECT_EQ(fates,
              (std::vector<Fate>{Fate::kKept, Fate::kKept, Fate::kEqual, Fate::kKept, Fate::kEqual, Fate::kEqual}));
  }
}

TEST(LineDuplicates, FirstKeepsAndBoilerplateGoesEverywhere) {
  Corpus corpus;
  corpus.documents.resize(60);
  corpus.source_begins = {0, 40, 60};
  const std::string long_line(80, 'x');
  const std::uint64_t duplicate = line_key("  " + long_line, 60), menu = line_key("Menu", 60);
  EXPECT_EQ(duplicate, line_key(long_line + " ", 60));
  EXPECT_EQ(line_key(" \t", 60), 0U);
  corpus.lines.resize(60);
  for (std::size_t d = 0; d < 60; ++d) {
    corpus.lines[d] = {line_key("only " + std::to_string(d), 60), 0};
    if (d == 3 || d == 9 || d == 50) corpus.lines[d].push_back(duplicate);
    if (d < 30 || d == 55) corpus.lines[d].push_back(menu);
  }
  ThreadPool pool(2);
  std::vector<Fate> fates(60, Fate::kKept);
  fates[9] = Fate::kNear;
  for (const std::int64_t memory : {3, 1000}) {
    std::vector<LineRemoval> all;
    find_line_duplicates(pool, corpus.prints(), {}, {}, memory, fates,
                         [&](std::vector<LineRemoval>&& list) { all.insert(all.end(), list.begin(), list.end()); });
    // The menu leaves the source where more than a quarter has it, and stays in the other.
    EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const LineRemoval& r) { return r.is_boilerplate != 0; }), 29);
    std::vector<std::uint32_t> losers;
    for (const LineRemoval& r : all)
      if (r.line == duplicate) losers.push_back(r.document);
    EXPECT_EQ(losers, std::vector<std::uint32_t>{50});
    EXPECT_EQ(all.size(), 30U);
  }
}

}  // namespace
}  // namespace hadal
