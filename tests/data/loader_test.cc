#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "data/permutation.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

/// Documents whose tokens tell where they are from: document d holds 100 * d + i.
std::vector<std::vector<int>> numbered_documents(std::vector<int> lengths) {
  std::vector<std::vector<int>> documents;
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    documents.emplace_back();
    for (int i = 0; i < lengths[d]; ++i) documents.back().push_back(static_cast<int>(d) * 100 + i);
  }
  return documents;
}

struct Corpus {
  TempDir dir;
  TokenShard shard;
  explicit Corpus(const std::vector<int>& lengths) : shard(write(dir, lengths)) {}
  static TokenShard write(const TempDir& dir, const std::vector<int>& lengths) {
    write_token_shard(dir.path() / "shard.tok", 10000, numbered_documents(lengths));
    return TokenShard(dir.path() / "shard.tok");
  }
};

constexpr int kEos = 9999;

TEST(Loader, OneEpochHoldsEveryTokenOnceAndTargetsAreTheNextToken) {
  const Corpus corpus({7, 1, 30, 0, 12, 3});
  Loader loader(corpus.shard, {}, 3, Split::kTrain, 4, -1, kEos);
  ASSERT_EQ(loader.tokens_per_epoch(), 7 + 1 + 30 + 12 + 3 + 5);
  std::map<int, int> seen;
  std::vector<int> ids;
  // 58 tokens: 29 sequences of 4 are two epochs.
  for (int i = 0; i < 29; ++i) {
    const Batch b = loader.batch(i, 1);
    ASSERT_EQ(b.ids.size(), 4U);
    ids.insert(ids.end(), b.ids.begin(), b.ids.end());
    for (std::size_t j = 0; j + 1 < 4; ++j) EXPECT_EQ(b.targets[j], b.ids[j + 1]);
    EXPECT_EQ(b.targets[3], loader.batch(i + 1, 1).ids[0]);
  }
  for (const int id : ids) ++seen[id];
  EXPECT_EQ(seen[kEos], 10);
  for (const auto& [id, times] : seen) EXPECT_EQ(times, id == kEos ? 10 : 2) << id;
  EXPECT_EQ(seen.size(), 7U + 1 + 30 + 12 + 3 + 1);
}

TEST(Loader, AnySequenceIsTheSameWhateverWasReadBefore) {
  const Corpus corpus({40, 11, 25, 60});
  Loader one(corpus.shard, {}, 5, Split::kTrain, 16, -1, kEos), other(corpus.shard, {}, 5, Split::kTrain, 16, -1, kEos);
  std::vector<int> in_order;
  for (int i = 0; i < 40; ++i) {
    const Batch b = one.batch(i, 1);
    in_order.insert(in_order.end(), b.ids.begin(), b.ids.end());
  }
  EXPECT_EQ(other.batch(30, 10).ids, std::vector<int>(in_order.begin() + 480, in_order.end()));
  EXPECT_EQ(other.batch(0, 30).ids, std::vector<int>(in_order.begin(), in_order.begin() + 480));
}

TEST(Loader, MaskedDocumentsAreSegmentsWithPositionsOfTheirOwn) {
  const Corpus corpus({5, 6, 7});
  Loader loader(corpus.shard, {.mask_documents = true}, 1, Split::kTrain, 21, -1, kEos);
  const Batch b = loader.batch(0, 1);
  ASSERT_EQ(b.segment_begins.size(), 4U);
  for (std::size_t s = 0; s + 1 < b.segment_begins.size(); ++s) {
    const auto begin = static_cast<std::size_t>(b.segment_begins[s]),
               end = static_cast<std::size_t>(b.segment_begins[s + 1]);
    EXPECT_EQ(b.positions[begin], 0);
    EXPECT_EQ(b.ids[end - 1], kEos);
    EXPECT_EQ(b.targets[end - 1], -1);
    for (std::size_t i = begin; i + 1 < end; ++i) EXPECT_EQ(b.targets[i], b.ids[i + 1]);
  }
  EXPECT_EQ(b.sequence_begins, (std::vector<index_t>{0, 21}));
}

TEST(Loader, SplitsShareNoDocument) {
  const Corpus corpus(std::vector<int>(99, 20));
  const LoaderOptions options{.validation_share = 0.2};
  Loader train(corpus.shard, options, 1, Split::kTrain, 10, -1, kEos),
      validation(corpus.shard, options, 1, Split::kValidation, 10, -1, kEos);
  EXPECT_EQ(train.num_documents() + validation.num_documents(), 99);
  EXPECT_GT(validation.num_documents(), 8);
  EXPECT_LT(validation.num_documents(), 35);
}

TEST(Loader, ShapeMayChangeBetweenSteps) {
  const Corpus corpus({40, 11, 25, 60, 1, 9});
  const Loader loader(corpus.shard, {}, 5, Split::kTrain, 16, -1, kEos);
  const Batch all = loader.batch_at(0, 1, 600);
  std::int64_t used = 0;
  for (const auto& [count, length] :
       std::vector<std::pair<int, int>>{{1, 8}, {2, 8}, {4, 16}, {3, 31}, {1, 200}, {5, 2}}) {
    const Batch b = loader.batch_at(used, count, length);
    ASSERT_EQ(b.ids.size(), static_cast<std::size_t>(count * length));
    for (std::size_t i = 0; i < b.ids.size(); ++i) {
      EXPECT_EQ(b.ids[i], all.ids[static_cast<std::size_t>(used) + i]);
      EXPECT_EQ(b.targets[i], all.targets[static_cast<std::size_t>(used) + i]);
      EXPECT_EQ(b.positions[i], static_cast<int>(i) % length);
    }
    EXPECT_EQ(b.sequence_begins.size(), static_cast<std::size_t>(count) + 1);
    used += count * length;
  }
}

TEST(Loader, EveryEpochHoldsTheSamePacksInAnotherOrder) {
  // More documents than one entry of the index covers, some of them empty.
  std::vector<int> lengths;
  for (int d = 0; d < 700; ++d)
    lengths.push_back(static_cast<int>(random_below(3, Stream::kTest, static_cast<std::uint64_t>(d), 9)));
  std::vector<std::vector<int>> documents = numbered_documents(lengths);
  const TempDir dir;
  write_token_shard(dir / "s", 80000, documents);
  const TokenShard shard(dir / "s");
  LoaderOptions options{.add_bos = true};
  options.fim = {.rate = 0.3, .begin_id = 79990, .hole_id = 79991, .end_id = 79992};
  const Loader loader(shard, options, 11, Split::kTrain, 2, 79999, 79998);
  const auto epoch = static_cast<int>(loader.tokens_per_epoch());
  const Batch two = loader.batch_at(0, 1, 2 * epoch);
  std::vector<int> first(two.ids.begin(), two.ids.begin() + epoch), second(two.ids.begin() + epoch, two.ids.end());
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
  // Without the control tokens, each token of each document once.
  std::vector<int> wanted;
  for (const auto& document : documents) wanted.insert(wanted.end(), document.begin(), document.end());
  std::sort(wanted.begin(), wanted.end());
  first.erase(std::lower_bound(first.begin(), first.end(), 79990), first.end());
  EXPECT_EQ(first, wanted);
  // Any cut of the stream is the same stream.
  for (const int from : {0, 1, epoch / 3, epoch - 3, epoch, epoch + 5}) {
    const Batch b = loader.batch_at(from, 1, 50);
    EXPECT_EQ(b.ids, std::vector<int>(two.ids.begin() + from, two.ids.begin() + from + 50)) << from;
  }
}

TEST(Loader, FimIsLaidOutPerDocumentAndRecoverable) {
  const Corpus corpus({50, 50, 50, 50, 50, 50, 50, 50});
  LoaderOptions options;
  options.fim = {.rate = 1, .begin_id = 9990, .hole_id = 9991, .end_id = 9992};
  const Loader loader(corpus.shard, options, 2, Split::kTrain, 54, -1, kEos);
  for (int i = 0; i < 8; ++i) {
    const std::vector<int> ids = loader.batch(i, 1).ids;  // 50 + 3 + EOS: one document a sequence
    const auto hole = std::find(ids.begin(), ids.end(), 9991), end = std::find(ids.begin(), ids.end(), 9992);
    ASSERT_EQ(ids.front(), 9990);
    ASSERT_EQ(ids.back(), kEos);
    ASSERT_TRUE(hole < end && end != ids.end());
    std::vector<int> text(ids.begin() + 1, hole);
    text.insert(text.end(), end + 1, ids.end() - 1);
    text.insert(text.end(), hole + 1, end);
    for (int t = 0; t < 50; ++t) EXPECT_EQ(text[static_cast<std::size_t>(t)], text[0] + t);
    EXPECT_EQ(text[0] % 100, 0);
  }
}

TEST(Loader, MaskedDocumentsCutBySequencesStartAnew) {
  const Corpus corpus({10, 10, 10});
  const Loader loader(corpus.shard, {.mask_documents = true}, 4, Split::kTrain, 4, -1, kEos);
  const Batch b = loader.batch(0, 16);
  EXPECT_EQ(b.segment_begins.front(), 0);
  EXPECT_EQ(b.segment_begins.back(), 64);
  EXPECT_TRUE(std::includes(b.segment_begins.begin(), b.segment_begins.end(), b.sequence_begins.begin(),
                            b.sequence_begins.end()));
  for (std::size_t s = 0; s + 1 < b.segment_begins.size(); ++s) {
    ASSERT_LT(b.segment_begins[s], b.segment_begins[s + 1]);
    for (index_t t = b.segment_begins[s]; t < b.segment_begins[s + 1]; ++t)
      EXPECT_EQ(b.positions[static_cast<std::size_t>(t)], t - b.segment_begins[s]);
  }
  for (std::size_t i = 0; i < b.ids.size(); ++i) EXPECT_EQ(b.targets[i] == -1, b.ids[i] == kEos);
}

TEST(Loader, BytesOfTargets) {
  Batch batch;
  batch.targets = {0, 2, -1, 1, 2, 7};
  EXPECT_EQ(target_text_bytes(batch, std::vector<int>{0, 3, 5}), 0 + 5 + 3 + 5);
}

TEST(Loader, SaysWhatIsWrong) {
  const Corpus corpus({5});
  EXPECT_THROW(Loader(corpus.shard, {}, 1, Split::kTrain, 4, -1, -1), Error);
  EXPECT_THROW(Loader(corpus.shard, {}, 1, Split::kValidation, 4, -1, kEos), Error);
  EXPECT_THROW(Loader(corpus.shard, {}, 1, Split::kTrain, 1, -1, kEos), Error);
  LoaderOptions fim;
  fim.fim.rate = 0.1;
  EXPECT_THROW(Loader(corpus.shard, fim, 1, Split::kTrain, 4, -1, kEos), Error);
  const Loader loader(corpus.shard, {}, 1, Split::kTrain, 4, -1, kEos);
  EXPECT_THROW(loader.batch_at(-1, 1, 4), Error);
}

TEST(Permutation, IsOne) {
  for (const std::uint64_t n : {1ULL, 2ULL, 3ULL, 5ULL, 16ULL, 17ULL, 1000ULL, 4097ULL}) {
    const Permutation order(n, 3, 1), other_round(n, 3, 2), other_seed(n, 4, 1);
    std::vector<char> seen(n, 0);
    std::uint64_t same_round = 0, same_seed = 0, fixed = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      ASSERT_LT(order(i), n);
      ASSERT_EQ(seen[order(i)]++, 0);
      same_round += order(i) == other_round(i) ? 1 : 0;
      same_seed += order(i) == other_seed(i) ? 1 : 0;
      fixed += order(i) == i ? 1 : 0;
    }
    if (n >= 1000) {
      EXPECT_LT(same_round, 10U);
      EXPECT_LT(same_seed, 10U);
      EXPECT_LT(fixed, 10U);
    }
  }
}

TEST(Fim, LayoutHoldsEveryTokenAndTheRateIsKept) {
  const FimOptions options{.rate = 0.1, .begin_id = 1, .hole_id = 2, .end_id = 3};
  int active = 0;
  for (index_t d = 0; d < 20000; ++d) {
    const FimLayout layout = fim_layout(options, 7, d, 9);
    if (!layout.active()) continue;
    ++active;
    ASSERT_EQ(layout.output_length(), 12);
    std::vector<index_t> prefix, suffix, middle, *part = &prefix;
    ASSERT_EQ(layout.source(0), -1);
    for (index_t i = 1; i < 12; ++i) {
      const index_t s = layout.source(i);
      if (s < 0)
        part = s == -2 ? &suffix : &middle;
      else
        part->push_back(s);
    }
    prefix.insert(prefix.end(), middle.begin(), middle.end());
    prefix.insert(prefix.end(), suffix.begin(), suffix.end());
    EXPECT_EQ(prefix, (std::vector<index_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  }
  EXPECT_NEAR(active, 2000, 150);  // 3.5 standard deviations
}

}  // namespace
}  // namespace hadal
