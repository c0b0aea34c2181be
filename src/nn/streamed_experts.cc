#include "nn/streamed_experts.h"

#include <algorithm>
#include <map>

#include "tensor/copy.h"

namespace hadal {

void StreamedExperts::forward(Context& ctx, View y_SD, ConstView x_SD, std::span<const index_t> offsets,
                              const std::function<void()>& meanwhile) {
  std::vector<int> left;  // experts with rows
  for (int e = 0; e + 1 < static_cast<int>(offsets.size()); ++e)
    if (offsets[static_cast<std::size_t>(e)] < offsets[static_cast<std::size_t>(e) + 1]) left.push_back(e);
  if (left.empty()) return;
  const std::size_t count = left.size();
  cache_.need(layer_, left);
  if (meanwhile) meanwhile();
  while (!left.empty()) {
    const ExpertCache::Held held = cache_.take(layer_, left);
    run(ctx, y_SD, x_SD, offsets, held.experts, held.experts.size() == count);
    std::erase_if(left,
                  [&](int e) { return std::find(held.experts.begin(), held.experts.end(), e) != held.experts.end(); });
  }
}

/// The rows of `experts` (in order). Not all: they are gathered first, and put back after.
void StreamedExperts::run(Context& ctx, View y_SD, ConstView x_SD, std::span<const index_t> offsets,
                          std::span<const int> experts, bool all) {
  const ArenaScope scope(ctx.scratch);
  const auto rows_of = [&](auto view, int e) {
    const index_t first = offsets[static_cast<std::size_t>(e)];
    return view.slice_rows(first, offsets[static_cast<std::size_t>(e) + 1] - first);
  };
  std::vector<index_t> some(offsets.size(), 0);
  for (const int e : experts) some[static_cast<std::size_t>(e) + 1] = rows_of(x_SD, e).rows;
  for (std::size_t e = 1; e < some.size(); ++e) some[e] += some[e - 1];
  View y = y_SD;
  ConstView x = x_SD;
  if (!all) {
    const View gathered = ctx.temp(some.back(), x_SD.cols);
    y = ctx.temp(some.back(), y_SD.cols);
    for (const int e : experts)
      copy_rows(gathered.slice_rows(some[static_cast<std::size_t>(e)], rows_of(x_SD, e).rows), rows_of(x_SD, e));
    x = gathered;
  }
  for (const int e : experts) {
    const ExpertCache::Expert at = cache_.at(layer_, e);
    experts_.place_expert(e, at.gate_up, at.down);
  }
  experts_.forward(ctx, y, x, Write::kAssign, nullptr, some);
  for (const int e : experts) experts_.place_expert(e, nullptr, nullptr);
  if (all) return;
  for (const int e : experts)
    copy_rows(rows_of(y_SD, e), y.slice_rows(some[static_cast<std::size_t>(e)], rows_of(y_SD, e).rows));
}

void StreamedExperts::guess(Mat<const int> index_TA) {
  std::map<int, int> count;
  for (index_t t = 0; t < index_TA.rows; ++t)
    for (const int e : index_TA.row(t))
      if (e >= 0) ++count[e];
  std::vector<int> experts;
  for (const auto& [e, n] : count) experts.push_back(e);
  std::stable_sort(experts.begin(), experts.end(), [&](int a, int b) { return count[a] > count[b]; });
  cache_.guess(layer_, experts);
}

}  // namespace hadal
