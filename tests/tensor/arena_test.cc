#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace hadal {
namespace {

TEST(Arena, AlignedAndApart) {
  Arena arena(4096);
  std::byte* const a = arena.allocate(10);
  std::byte* const b = arena.allocate(100);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b) % 64, 0U);
  EXPECT_GE(b - a, 10);
}

TEST(Arena, GrowsAndReusesItsBlocks) {
  Arena arena(1024);
  const auto round = [&] {
    std::byte* const first = arena.allocate(1000);
    for (int i = 0; i < 5; ++i) std::memset(arena.allocate(1000), i, 1000);
    std::memset(arena.allocate(5000), 7, 5000);  // larger than a block
    return first;
  };
  const std::byte* const first = round();
  const index_t capacity = arena.capacity();
  arena.reset();
  EXPECT_EQ(round(), first);
  EXPECT_EQ(arena.capacity(), capacity) << "the second round allocated";
}

TEST(Arena, MarksNest) {
  Arena arena(1024);
  std::byte* const kept = arena.allocate(512);
  std::memset(kept, 1, 512);
  const Arena::Mark mark = arena.mark();
  std::byte* const inner = arena.allocate(2048);
  arena.restore(mark);
  EXPECT_EQ(arena.allocate(2048), inner);
  {
    const ArenaScope scope(arena);
    arena.allocate(100000);
  }
  EXPECT_EQ(kept[511], std::byte{1});
  const Arena::Mark before = arena.mark();
  {
    const ArenaScope scope(arena, false);
    arena.allocate(64);
  }
  EXPECT_TRUE(arena.mark().block != before.block || arena.mark().used != before.used)
      << "an inactive scope gave memory back";
}

TEST(Arena, ZerosClearsWhatWasUsedBefore) {
  Arena arena(1024);
  std::memset(arena.allocate(256), 0xFF, 256);
  arena.reset();
  const View v = arena.zeros(DType::kF32, 4, 16);
  EXPECT_TRUE(v.contiguous());
  for (const float x : v.flat<float>()) EXPECT_EQ(x, 0);
}

TEST(Arena, PeakCountsWhatWasInUseAtOnce) {
  Arena arena(1024);
  for (int i = 0; i < 3; ++i) {
    const ArenaScope scope(arena);
    arena.allocate(640);
  }
  EXPECT_EQ(arena.peak(), 640);
  arena.reset();
  arena.allocate(128);
  EXPECT_EQ(arena.peak(), 640);
}

TEST(Arena, TypedViews) {
  Arena arena(1024);
  const Mat<int> m = arena.mat<int>(3, 5);
  EXPECT_EQ(m.stride, 5);
  m(2, 4) = 9;
  EXPECT_EQ(arena.span<double>(7).size(), 7U);
  EXPECT_EQ(arena.view(DType::kE5M6, 2, 4).rows, 2);
  EXPECT_EQ(m(2, 4), 9);
}

}  // namespace
}  // namespace hadal
