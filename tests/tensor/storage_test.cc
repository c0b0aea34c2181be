#include "tensor/storage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace hadal {
namespace {

TEST(Storage, ZeroedAndAligned) {
  for (const index_t bytes : {index_t{1}, index_t{63}, index_t{64}, index_t{1000}, Storage::kPage, index_t{9} << 20}) {
    const Storage s(bytes);
    EXPECT_EQ(s.size(), bytes);
    const std::uintptr_t alignment = bytes < Storage::kPage ? 64 : Storage::kPage;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(s.data()) % alignment, 0U);
    EXPECT_TRUE(std::all_of(s.data(), s.data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST(Storage, EmptyAndMoved) {
  EXPECT_EQ(Storage().data(), nullptr);
  EXPECT_EQ(Storage(0).size(), 0);
  Storage a(10);
  std::byte* const data = a.data();
  const Storage b = std::move(a);
  EXPECT_EQ(b.data(), data);
}

TEST(Storage, ImpossibleSizesThrow) {
  EXPECT_THROW(Storage(-1), Error);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their allocators end the process instead
  EXPECT_THROW(Storage(index_t{1} << 60), Error);
#endif
}

TEST(Tensor, ShapeAndView) {
  Tensor t(DType::kBF16, 3, 5);
  EXPECT_EQ(t.view().rows, 3);
  EXPECT_EQ(t.view().stride, 5);
  EXPECT_TRUE(t.view().contiguous());
  EXPECT_EQ(t.view().as<bf16>()(2, 4).bits, 0);
  EXPECT_TRUE(Tensor().empty());
  EXPECT_FALSE(t.empty());
}

}  // namespace
}  // namespace hadal
