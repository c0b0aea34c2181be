#pragma once
// Rows of hidden states that somebody will read later.
#include <algorithm>

#include "tensor/copy.h"
#include "tensor/storage.h"

namespace hadal {

/// Rows of one dtype and width, in the order in which they came.
class StateRows {
 public:
  void append(ConstView rows) {
    if (size_ + rows.rows > tensor_.rows()) {
      Tensor larger(rows.dtype, std::max(size_ + rows.rows, 2 * tensor_.rows()), rows.cols);
      if (size_ > 0) copy_rows(larger.view().slice_rows(0, size_), tensor_.view().slice_rows(0, size_));
      tensor_ = std::move(larger);
    }
    copy_rows(tensor_.view().slice_rows(size_, rows.rows), rows);
    size_ += rows.rows;
  }
  index_t size() const { return size_; }
  ConstView view() const { return tensor_.view().slice_rows(0, size_); }
  void clear() { size_ = 0; }

 private:
  Tensor tensor_;
  index_t size_ = 0;
};

}  // namespace hadal
