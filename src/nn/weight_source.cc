#include "nn/weight_source.h"

#include <algorithm>

#include "kernels/fp8.h"

namespace hadal {

Param WeightSource::rows_of(const Param& p, const ReadAhead::Rows& rows) {
  Param part = p;
  const index_t first = rows.first - p.first_row;
  part.value = p.value.slice_rows(first, rows.count);
  if (p.scales.data != nullptr) {
    constexpr index_t kBlock = kernels::kFp8Tile;
    HADAL_CHECK(first % kBlock == 0, p.name, ": a part begins inside of a block");
    const index_t blocks = (rows.count + kBlock - 1) / kBlock;
    part.scales = view_of(p.scales).slice_rows(first / kBlock, blocks).as<float>();
  }
  part.first_row = rows.first;
  return part;
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
