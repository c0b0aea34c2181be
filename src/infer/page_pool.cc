#include "infer/page_pool.h"

namespace hadal {

PagePool::PagePool(int num_pages) : users_(static_cast<std::size_t>(num_pages)) {
  for (int page = num_pages; page-- > 0;) free_.push_back(page);
}

int PagePool::take() {
  HADAL_CHECK(!free_.empty(), "cache: all ", size(), " pages are in use");
  const int page = free_.back();
  free_.pop_back();
  users_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void PagePool::release(int page) {
  int& users = users_[static_cast<std::size_t>(page)];
  HADAL_CHECK(users > 0, "cache: page ", page, " is released too often");
  ++num_releases_;
  if (--users == 0) free_.push_back(page);
}

}  // namespace hadal
