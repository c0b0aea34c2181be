#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "tensor/view.h"

namespace hadal {

struct FreeStorage {
  index_t mapped = 0;  // bytes of a mapping; 0: from the heap
  void operator()(std::byte* p) const;
};

/// Owns zeroed bytes, aligned to a cache line, of kPage or more to a page (what reads past the page cache want). Large
/// ones are pages of their own, which take memory when they are first touched.
class Storage {
 public:
  static constexpr index_t kPage = 4096;

  Storage() = default;
  /// Throws Error when the memory is not there.
  explicit Storage(index_t bytes);
  std::byte* data() { return bytes_.get(); }
  const std::byte* data() const { return bytes_.get(); }
  index_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte, FreeStorage> bytes_;
  index_t size_ = 0;
};

/// Owns a zeroed rows x cols tensor.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, index_t rows, index_t cols)
      : storage_(bytes_of(dtype, rows * cols)), dtype_(dtype), rows_(rows), cols_(cols) {}
  View view() { return {storage_.data(), dtype_, rows_, cols_, cols_}; }
  ConstView view() const { return {storage_.data(), dtype_, rows_, cols_, cols_}; }
  bool empty() const { return storage_.size() == 0; }
  DType dtype() const { return dtype_; }
  index_t rows() const { return rows_; }
  index_t cols() const { return cols_; }

 private:
  Storage storage_;
  DType dtype_ = DType::kF32;
  index_t rows_ = 0, cols_ = 0;
};

}  // namespace hadal
