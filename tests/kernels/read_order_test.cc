#include "kernels/read_order.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

/// Packed matrices of 64 panels of a cache line each.
struct Weights {
  static constexpr index_t kPanels = 64, kPanelBytes = LinesAhead::kLine;
  std::vector<std::byte> bytes;
  std::vector<const std::byte*> matrices;
  explicit Weights(index_t count) : bytes(static_cast<std::size_t>((count * kPanels + 1) * kPanelBytes)) {
    void* begin = bytes.data();
    std::size_t space = bytes.size();
    std::align(kPanelBytes, 1, begin, space);
    for (index_t e = 0; e < count; ++e)
      matrices.push_back(static_cast<const std::byte*>(begin) + e * kPanels * kPanelBytes);
  }
  WeightStream stream() const { return {matrices, kPanels, kPanelBytes}; }
  /// Where panel p of matrix e begins.
  const std::byte* at(index_t e, index_t p) const { return matrices[static_cast<std::size_t>(e)] + p * kPanelBytes; }
};

TEST(ReadOrder, NamesWhatFollowedTheLastTime) {
  ThreadPool pool(2);
  ReadOrder order;
  const Weights query(1), gate_up(8), down(8), head(1);
  const index_t only[] = {0}, chosen[] = {1, 5, 6}, others[] = {0, 2, 7};
  const auto token = [&](std::span<const index_t> experts, const auto& after) {
    order.begin(pool, query.stream(), only);
    after(0);
    order.begin(pool, gate_up.stream(), experts);
    after(1);
    order.begin(pool, down.stream(), experts);
    after(2);
    order.begin(pool, head.stream(), only);
    after(3);
  };
  for (int repeat = 0; repeat < 2; ++repeat) token(others, [](int) {});
  for (int repeat = 0; repeat < 2; ++repeat)
    token(chosen, [&](int product) {
      const std::byte *first = pool.ahead(0).end(), *second = pool.ahead(1).end();
      if (product == 0) {  // which experts it will be, nobody knows
        EXPECT_EQ(first, nullptr);
        EXPECT_EQ(second, nullptr);
      } else if (product == 1) {  // the other half of these: panels 0 to 96 of 1 and 5, then 96 to 192
        EXPECT_EQ(first, down.at(1, 64));
        EXPECT_EQ(second, down.at(5, 64));
      } else {  // one matrix, half for each
        const Weights& next = product == 2 ? head : query;
        EXPECT_EQ(first, next.at(0, 32)) << product;
        EXPECT_EQ(second, next.at(0, 64)) << product;
      }
    });
}

TEST(ReadOrder, LearnsAnewAndKnowsNothingAtFirst) {
  ThreadPool pool(2);
  ReadOrder order;
  const Weights a(1), b(1), c(1);
  const index_t only[] = {0};
  const auto next_of = [&](const Weights& w) {
    order.begin(pool, w.stream(), only);
    return pool.ahead(1).end();
  };
  next_of(a), next_of(b);
  EXPECT_EQ(next_of(a), b.at(0, 64));
  next_of(c);  // another model takes turns with it
  EXPECT_EQ(next_of(a), c.at(0, 64));
  ThreadPool alone(1);  // nobody waits
  order.begin(alone, b.stream(), only);
  EXPECT_EQ(alone.ahead(0).end(), nullptr);
}

}  // namespace
}  // namespace hadal
