// Mixing, packing and fill in the middle.
#include "data/corpus/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "data/corpus/mix.h"
#include "data/fim.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

std::vector<index_t> random_lengths(std::uint64_t seed, int count, std::uint64_t longest) {
  std::vector<index_t> lengths;
  for (int i = 0; i < count; ++i)
    lengths.push_back(
        static_cast<index_t>(random_below(seed, Stream::kTest, static_cast<std::uint64_t>(i), longest + 1)));
  return lengths;
}

/// Each token of each document exactly once, pieces of a document in order, sequences filled and none too long.
void expect_exact(const PackedSequences& packed, const std::vector<index_t>& lengths, index_t sequence_length) {
  std::map<index_t, index_t> next;  // document -> tokens seen
  index_t total = 0;
  for (const PackedPiece& piece : packed.pieces) {
    EXPECT_EQ(piece.begin, next[piece.document]) << piece.document;
    next[piece.document] += piece.length;
    total += piece.length;
  }
  for (std::size_t d = 0; d < lengths.size(); ++d) EXPECT_EQ(next[static_cast<index_t>(d)], lengths[d]) << d;
  ASSERT_FALSE(packed.sequence_begins.empty());
  EXPECT_EQ(packed.sequence_begins.front(), 0);
  EXPECT_EQ(packed.sequence_begins.back(), total);
  for (std::size_t s = 1; s < packed.sequence_begins.size(); ++s) {
    EXPECT_LE(packed.sequence_begins[s] - packed.sequence_begins[s - 1], sequence_length);
    EXPECT_LE(packed.sequence_begins[s - 1], packed.sequence_begins[s]);
  }
}

TEST(Packing, NeverLosesOrRepeatsAToken) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto lengths = random_lengths(seed, 1 + static_cast<int>(seed * 7 % 90), seed % 3 == 0 ? 9 : 70);
    for (const index_t sequence_length : {1, 2, 16, 64}) {
      expect_exact(concatenate(lengths, sequence_length), lengths, sequence_length);
      expect_exact(best_fit(lengths, sequence_length), lengths, sequence_length);
    }
  }
  EXPECT_TRUE(concatenate({}, 0).sequence_begins.empty());
}

TEST(Packing, ConcatenatedSequencesAreFull) {
  const auto lengths = random_lengths(3, 100, 50);
  const PackedSequences packed = concatenate(lengths, 32);
  for (std::size_t s = 1; s + 1 < packed.sequence_begins.size(); ++s)
    EXPECT_EQ(packed.sequence_begins[s] - packed.sequence_begins[s - 1], 32);
}

TEST(Packing, BestFitCutsNothingThatFits) {
  const auto lengths = random_lengths(4, 400, 64);
  const PackedSequences packed = best_fit(lengths, 64);
  EXPECT_EQ(packed.pieces.size(), lengths.size());
  index_t begin = 0;
  for (const PackedPiece& piece : packed.pieces) {
    const auto s = std::upper_bound(packed.sequence_begins.begin(), packed.sequence_begins.end(), begin) - 1;
    if (piece.length > 0) {
      EXPECT_LE(begin + piece.length, *(s + 1));
    }
    begin += piece.length;
  }
  // And wastes little.
  const double room = 64.0 * static_cast<double>(packed.sequence_begins.size() - 1);
  EXPECT_GT(static_cast<double>(begin) / room, 0.97);
  EXPECT_EQ(best_fit(lengths, 64).pieces, packed.pieces);
}

TEST(Mix, WeightsAreEpochsWithoutAGoal) {
  std::vector<MixGroup> groups = {{.source = "a", .weight = 2, .max_epochs = 4, .tokens = 10},
                                  {.source = "b", .weight = 9, .max_epochs = 4, .tokens = 10},
                                  {.source = "c", .weight = 0.5, .max_epochs = 4, .tokens = 10},
                                  {.source = "d", .weight = 1, .max_epochs = 4, .tokens = 0}};
  mix_epochs(groups, {});
  EXPECT_EQ(groups[0].epochs, 2);
  EXPECT_EQ(groups[1].epochs, 4);
  EXPECT_EQ(groups[2].epochs, 0.5);
  EXPECT_EQ(groups[3].epochs, 0);
}

TEST(Mix, GoalIsSharedAndCapsAreKept) {
  std::vector<MixGroup> groups = {{.source = "a", .weight = 1, .max_epochs = 2, .tokens = 100},
                                  {.source = "b", .weight = 1, .max_epochs = 100, .tokens = 1000},
                                  {.source = "c", .weight = 2, .max_epochs = 100, .tokens = 1000}};
  MixOptions options{.tokens = 3100};
  mix_epochs(groups, options);  // shares 100 : 1000 : 2000
  EXPECT_NEAR(groups[0].epochs, 1, 1e-9);
  EXPECT_NEAR(groups[2].epochs, 2, 1e-9);
  options.temperature = 1e9;  // sizes count no more: 1 : 1 : 2, and a is capped at 200 tokens
  mix_epochs(groups, options);
  EXPECT_NEAR(groups[0].epochs, 2, 1e-9);
  EXPECT_NEAR(groups[1].epochs, 2900.0 / 3 / 1000, 1e-6);
  EXPECT_NEAR(groups[2].epochs, 2900.0 * 2 / 3 / 1000, 1e-6);
  options.tokens = 1000000;  // more than there is, all caps together
  mix_epochs(groups, options);
  for (const MixGroup& g : groups) EXPECT_EQ(g.epochs, g.max_epochs);
  groups[0].weight = -1;
  EXPECT_NE(error_of([&] { mix_epochs(groups, options); }).find("weight"), std::string::npos);
}

TEST(Mix, CopiesFollowTheEpochs) {
  for (const double epochs : {0.0, 0.3, 1.0, 1.5, 2.75, 4.0}) {
    CopyCounter counter(epochs);
    std::int64_t seen = 0, taken = 0;
    for (const index_t length : random_lengths(8, 3000, 500)) {
      const int copies = counter.copies(length);
      EXPECT_GE(copies, static_cast<int>(epochs));
      EXPECT_LE(copies, static_cast<int>(std::ceil(epochs)));
      seen += length;
      taken += copies * length;
    }
    EXPECT_NEAR(static_cast<double>(taken), epochs * static_cast<double>(seen), 500) << epochs;
  }
}

// T20 of the fact sheet: 10% of documents, and the text comes back.
TEST(Fim, RateLayoutAndRecovery) {
  const FimOptions options{.rate = 0.1, .spm_share = 0.5, .begin_id = -1, .hole_id = -2, .end_id = -3};
  constexpr index_t kDocuments = 20000;
  int psm = 0, spm = 0;
  for (index_t d = 0; d < kDocuments; ++d) {
    const auto length = static_cast<index_t>(random_below(9, Stream::kTest, static_cast<std::uint64_t>(d), 30));
    const FimLayout layout = fim_layout(options, 7, d, length);
    psm += layout.kind == FimKind::kPsm ? 1 : 0;
    spm += layout.kind == FimKind::kSpm ? 1 : 0;
    if (length < 2) {
      EXPECT_FALSE(layout.active());
    }
    std::vector<index_t> out;
    for (index_t i = 0; i < layout.output_length(); ++i) out.push_back(layout.source(i));
    if (layout.active()) {
      const auto hole = std::find(out.begin(), out.end(), -2), end = std::find(out.begin(), out.end(), -3);
      ASSERT_TRUE(out.front() == -1 && hole < end && end != out.end());
      const std::vector<index_t> before(out.begin() + 1, hole), suffix(hole + 1, end), after(end + 1, out.end());
      EXPECT_EQ(static_cast<index_t>(suffix.size()), length - layout.cut_b);
      if (layout.kind == FimKind::kPsm) {
        EXPECT_EQ(static_cast<index_t>(before.size()), layout.cut_a);
        EXPECT_EQ(static_cast<index_t>(after.size()), layout.cut_b - layout.cut_a);
      } else {
        EXPECT_TRUE(before.empty());
        EXPECT_EQ(static_cast<index_t>(after.size()), layout.cut_b);
      }
      out = before;
      out.insert(out.end(), after.begin(), after.end());
      out.insert(out.end(), suffix.begin(), suffix.end());
    }
    ASSERT_EQ(static_cast<index_t>(out.size()), length);
    for (index_t i = 0; i < length; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i);
  }
  // Documents of 0 and 1 tokens, 1 in 15, are never cut. Three standard deviations: sqrt(20000 * 0.0933 * 0.9067) = 41.
  const double wanted = 0.1 * kDocuments * 28 / 30;
  EXPECT_NEAR(psm + spm, wanted, 125);
  EXPECT_NEAR(psm, wanted / 2, 90);
}

}  // namespace
}  // namespace hadal
