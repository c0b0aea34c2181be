#include "nn/weight_source.h"

#include <algorithm>

#include "base/file.h"

namespace hadal {

std::size_t ReadAhead::add(std::span<const std::byte> piece) {
  pieces_.push_back(piece);
  ends_.push_back((ends_.empty() ? 0 : ends_.back()) + piece.size());
  return pieces_.size() - 1;
}

void ReadAhead::ask_beyond(std::size_t number) {
  // Small ones (vectors, which are read first of all) say nothing about how far the reading has come.
  constexpr std::size_t kSmall = std::size_t{1} << 16, kWindow = std::size_t{256} << 20;
  if (pieces_[number].size() < kSmall) return;
  std::size_t first = 0, last = 0;
  {
    const std::lock_guard lock(mutex_);
    first = std::max(asked_, number);
    const auto beyond = std::upper_bound(ends_.begin(), ends_.end(), ends_[number] + kWindow);
    last = std::max(first, static_cast<std::size_t>(beyond - ends_.begin()));
    asked_ = last;
  }
  for (std::size_t i = first; i < last; ++i) prefetch_mapped(pieces_[i]);
}

void ReadAhead::release(std::size_t number) {
  release_mapped(pieces_[number]);
}

void for_rows(Exec& ex, std::span<const int> rows, FunctionRef<void(index_t i, index_t row)> body) {
  constexpr index_t kRows = 8;
  const index_t count = std::ssize(rows);
  ex.pool.parallel_for((count + kRows - 1) / kRows, [&](index_t task, int) {
    for (index_t i = task * kRows; i < std::min(count, (task + 1) * kRows); ++i)
      body(i, rows[static_cast<std::size_t>(i)]);
  });
}

void fail_on_problems(const std::string& where, const std::vector<std::string>& problems) {
  if (problems.empty()) return;
  constexpr std::size_t kShown = 20;
  const auto shown = static_cast<std::ptrdiff_t>(std::min(problems.size(), kShown));
  fail(where, ": ", problems.size(), " tensors do not fit the config: ",
       fmt::format("{}", fmt::join(problems.begin(), problems.begin() + shown, "; ")),
       problems.size() > kShown ? "; ..." : "");
}

}  // namespace hadal
