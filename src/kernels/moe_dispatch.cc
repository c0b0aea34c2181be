#include "kernels/moe_dispatch.h"

#include <algorithm>
#include <utility>

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check_plan(const char* kernel, const DispatchPlan& plan, index_t tokens) {
  HADAL_CHECK(!plan.offsets.empty(), kernel, ": the plan has no offsets");
  HADAL_CHECK(plan.slot_TA.rows == tokens, kernel, ": the plan is for ", plan.slot_TA.rows, " tokens, got ", tokens);
}

}  // namespace

void dispatch_plan(Exec& /*ex*/, const DispatchPlan& plan, Mat<const int> index_TA, index_t num_experts) {
  constexpr const char* kName = "dispatch_plan";
  const index_t slots = index_TA.rows * index_TA.cols;
  HADAL_CHECK(static_cast<index_t>(plan.offsets.size()) == num_experts + 1, kName, ": ", plan.offsets.size(),
              " offsets for ", num_experts, " experts");
  HADAL_CHECK(static_cast<index_t>(plan.token_of_S.size()) >= slots, kName, ": room for ", plan.token_of_S.size(),
              " slots, need ", slots);
  HADAL_CHECK(plan.slot_TA.rows == index_TA.rows && plan.slot_TA.cols == index_TA.cols, kName, ": slot is ",
              plan.slot_TA.rows, " x ", plan.slot_TA.cols, ", index ", index_TA.rows, " x ", index_TA.cols);
  // A counting sort: it visits the choices twice, in token order. offsets[e + 1] first counts expert e, then is the
  // next free slot of expert e, and so ends as the first slot of expert e + 1.
  const std::span<index_t> offsets = plan.offsets;
  std::fill(offsets.begin(), offsets.end(), 0);
  const auto after = [&](int e) -> index_t& { return offsets[static_cast<std::size_t>(e) + 1]; };
  for (index_t t = 0; t < index_TA.rows; ++t) {
    for (const int e : index_TA.row(t)) {
      HADAL_CHECK(e >= -1 && e < num_experts, kName, ": expert ", e, " of ", num_experts, " for token ", t);
      if (e >= 0) ++after(e);
    }
  }
  index_t next = 0;
  for (int e = 0; e < num_experts; ++e) next += std::exchange(after(e), next);
  for (index_t t = 0; t < index_TA.rows; ++t) {
    for (index_t a = 0; a < index_TA.cols; ++a) {
      const int e = index_TA(t, a);
      const index_t slot = e < 0 ? -1 : after(e)++;
      plan.slot_TA(t, a) = static_cast<int>(slot);
      if (slot >= 0) plan.token_of_S[static_cast<std::size_t>(slot)] = static_cast<int>(t);
    }
  }
}

void dispatch_gather(Exec& ex, View y_SD, ConstView x_TD, const DispatchPlan& plan) {
  constexpr const char* kName = "dispatch_gather";
  check_plan(kName, plan, x_TD.rows);
  check_activation(kName, "x", x_TD, x_TD.rows, x_TD.cols, x_TD.dtype == DType::kF64);
  check_view(kName, "y", y_SD, y_SD.rows, x_TD.cols, {x_TD.dtype});
  HADAL_CHECK(y_SD.rows >= plan.offsets.back(), kName, ": y has ", y_SD.rows, " rows for ", plan.offsets.back(),
              " slots");
  ex.kernels.dispatch_gather(ex, y_SD, x_TD, plan);
}

void dispatch_gather_backward(Exec& ex, View dx_TD, ConstView dy_SD, const DispatchPlan& plan) {
  constexpr const char* kName = "dispatch_gather_backward";
  const bool f64 = dx_TD.dtype == DType::kF64;
  check_plan(kName, plan, dx_TD.rows);
  check_activation(kName, "dx", dx_TD, dx_TD.rows, dx_TD.cols, f64);
  check_activation(kName, "dy", dy_SD, dy_SD.rows, dx_TD.cols, f64);
  HADAL_CHECK(dy_SD.rows >= plan.offsets.back(), kName, ": dy has ", dy_SD.rows, " rows for ", plan.offsets.back(),
              " slots");
  ex.kernels.dispatch_gather_backward(ex, dx_TD, dy_SD, plan);
}

void combine(Exec& ex, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) {
  constexpr const char* kName = "combine";
  const bool f64 = y_TD.dtype == DType::kF64;
  check_plan(kName, plan, y_TD.rows);
  check_activation(kName, "y", y_TD, y_TD.rows, y_TD.cols, f64);
  check_activation(kName, "x", x_SD, x_SD.rows, y_TD.cols, f64);
  check_statistic(kName, "weight", weight_TA, y_TD.rows, plan.slot_TA.cols, f64);
  HADAL_CHECK(x_SD.rows >= plan.offsets.back(), kName, ": x has ", x_SD.rows, " rows for ", plan.offsets.back(),
              " slots");
  ex.kernels.combine(ex, y_TD, x_SD, weight_TA, plan);
}

void combine_backward(Exec& ex, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA,
                      const DispatchPlan& plan) {
  constexpr const char* kName = "combine_backward";
  const bool f64 = dy_TD.dtype == DType::kF64;
  check_plan(kName, plan, dy_TD.rows);
  check_activation(kName, "dy", dy_TD, dy_TD.rows, dy_TD.cols, f64);
  check_activation(kName, "x", x_SD, x_SD.rows, dy_TD.cols, f64);
  check_activation(kName, "dx", dx_SD, dx_SD.rows, dy_TD.cols, f64);
  check_statistic(kName, "weight", weight_TA, dy_TD.rows, plan.slot_TA.cols, f64);
  check_statistic(kName, "dweight", dweight_TA, dy_TD.rows, plan.slot_TA.cols, f64);
  HADAL_CHECK(x_SD.rows >= plan.offsets.back() && dx_SD.rows >= plan.offsets.back(), kName, ": x and dx have ",
              x_SD.rows, " and ", dx_SD.rows, " rows for ", plan.offsets.back(), " slots");
  ex.kernels.combine_backward(ex, dx_SD, dweight_TA, dy_TD, x_SD, weight_TA, plan);
}

}  // namespace hadal::kernels
