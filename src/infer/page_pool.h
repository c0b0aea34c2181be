#pragma once
// Which pages of a KvCache are in use, and by how many sequences.
#include <cstdint>
#include <vector>

#include "base/error.h"

namespace hadal {

/// Counts users of pages. A page with several users is read-only.
class PagePool {
 public:
  explicit PagePool(int num_pages);

  int size() const { return static_cast<int>(users_.size()); }
  int num_free() const { return static_cast<int>(free_.size()); }
  /// A page with one user. Throws Error when none is free.
  int take();
  /// One more user of a page that has one.
  void share(int page) { ++users_[static_cast<std::size_t>(page)]; }
  /// One user less; the last one frees it.
  void release(int page);
  int users(int page) const { return users_[static_cast<std::size_t>(page)]; }
  /// How often somebody gave a page back: as long as it stays, what did not fit does not fit.
  std::int64_t num_releases() const { return num_releases_; }

 private:
  std::vector<int> users_, free_;
  std::int64_t num_releases_ = 0;
};

}  // namespace hadal
