#include "tensor/storage.h"

#include <sys/mman.h>

#include <cstring>

namespace hadal {

Storage::Storage(index_t bytes) : size_(bytes) {
  HADAL_CHECK(bytes >= 0, "storage: ", bytes, " bytes");
  if (bytes == 0) return;
  constexpr index_t kHugePage = 2 << 20, kLine = 64;
  const index_t alignment = bytes >= 4 * kHugePage ? kHugePage : kLine;
  const index_t rounded = (bytes + alignment - 1) / alignment * alignment;
  bytes_.reset(static_cast<std::byte*>(
      std::aligned_alloc(static_cast<std::size_t>(alignment), static_cast<std::size_t>(rounded))));
  HADAL_CHECK(bytes_ != nullptr, "out of memory: ", bytes, " bytes asked for");
  if (alignment == kHugePage) madvise(bytes_.get(), static_cast<std::size_t>(rounded), MADV_HUGEPAGE);
  std::memset(bytes_.get(), 0, static_cast<std::size_t>(rounded));
}

}  // namespace hadal
