#include "data/loader.h"

#include <gtest/gtest.h>

#include <map>

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
