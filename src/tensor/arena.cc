#include "tensor/arena.h"

#include <algorithm>
#include <cstring>

namespace hadal {

std::byte* Arena::allocate(index_t bytes) {
  constexpr index_t kLine = 64;
  bytes = (bytes + kLine - 1) / kLine * kLine;
  while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size()) ++block_, used_ = 0;
  if (block_ == blocks_.size()) blocks_.emplace_back(std::max(bytes, block_bytes_)), used_ = 0;
  std::byte* start = blocks_[block_].data() + used_;
  used_ += bytes;
  index_t in_use = used_;
  for (std::size_t b = 0; b < block_; ++b) in_use += blocks_[b].size();
  peak_ = std::max(peak_, in_use);
  return start;
}

View Arena::zeros(DType dtype, index_t rows, index_t cols) {
  const View v = view(dtype, rows, cols);
  std::memset(v.data, 0, static_cast<std::size_t>(bytes_of(dtype, rows * cols)));
  return v;
}

index_t Arena::capacity() const {
  index_t bytes = 0;
  for (const Storage& block : blocks_) bytes += block.size();
  return bytes;
}

}  // namespace hadal
