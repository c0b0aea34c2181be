#include "tensor/storage.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>

namespace hadal {

namespace {

constexpr index_t kHugePage = index_t{2} << 20, kLine = 64;

index_t round_up(index_t n, index_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// `bytes` zero bytes from the system, aligned to a huge page; nullptr when there are none.
std::byte* map_huge(index_t bytes) {
  const auto length = static_cast<std::size_t>(bytes + kHugePage);
  void* mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(mapped);
  const auto misaligned = static_cast<index_t>(reinterpret_cast<std::uintptr_t>(begin) % kHugePage);
  const index_t front = misaligned == 0 ? 0 : kHugePage - misaligned;
  if (front > 0) munmap(begin, static_cast<std::size_t>(front));
  munmap(begin + front + bytes, static_cast<std::size_t>(kHugePage - front));
  madvise(begin + front, static_cast<std::size_t>(bytes), MADV_HUGEPAGE);
  return begin + front;
}

}  // namespace

Storage::Storage(index_t bytes) : size_(bytes) {
  HADAL_CHECK(bytes >= 0, "storage: ", bytes, " bytes");
  if (bytes == 0) return;
  std::byte* memory = nullptr;
  FreeStorage free;
  if (bytes >= kHugePage) {
    free.mapped = round_up(bytes, kHugePage);
    memory = map_huge(free.mapped);
  } else {
    const index_t alignment = bytes < kPage ? kLine : kPage;
    const auto rounded = static_cast<std::size_t>(round_up(bytes, alignment));
    memory = static_cast<std::byte*>(std::aligned_alloc(static_cast<std::size_t>(alignment), rounded));
    if (memory != nullptr) std::memset(memory, 0, rounded);
  }
  HADAL_CHECK(memory != nullptr, "out of memory: ", bytes, " bytes asked for");
  bytes_ = {memory, free};
}

void FreeStorage::operator()(std::byte* p) const {
  if (mapped > 0)
    munmap(p, static_cast<std::size_t>(mapped));
  else
    std::free(p);
}

}  // namespace hadal
