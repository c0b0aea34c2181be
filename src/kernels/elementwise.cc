#include "kernels/elementwise.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check_ids(const char* kernel, std::span<const int> ids, index_t rows, index_t vocab_size) {
  HADAL_CHECK(static_cast<index_t>(ids.size()) == rows, kernel, ": ", ids.size(), " ids for ", rows, " rows");
  for (std::size_t t = 0; t < ids.size(); ++t)
    HADAL_CHECK(ids[t] >= 0 && ids[t] < vocab_size, kernel, ": id ", ids[t], " at position ", t, ", the table has ",
                vocab_size);
}

}  // namespace

void convert(Exec& ex, View y, ConstView x, Write write) {
  const auto check = [&](const char* name, ConstView v) {
    check_view("convert", name, v, x.rows, x.cols,
               {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kE4M3, DType::kE5M2});
  };
  check("x", x);
  check("y", y);
  ex.kernels.convert(ex, y, x, write);
}

void embedding_forward(Exec& ex, View y_TD, ConstView table_VD, std::span<const int> ids) {
  constexpr const char* kName = "embedding_forward";
  const bool f64 = table_VD.dtype == DType::kF64;
  check_activation(kName, "table", table_VD, table_VD.rows, table_VD.cols, f64);
  check_activation(kName, "y", y_TD, y_TD.rows, table_VD.cols, f64);
  check_ids(kName, ids, y_TD.rows, table_VD.rows);
  ex.kernels.embedding_forward(ex, y_TD, table_VD, ids);
}

void embedding_backward(Exec& ex, View dtable_VD, ConstView dy_TD, std::span<const int> ids) {
  constexpr const char* kName = "embedding_backward";
  const bool f64 = dtable_VD.dtype == DType::kF64;
  check_statistic(kName, "dtable", dtable_VD, dtable_VD.rows, dtable_VD.cols, f64);
  check_activation(kName, "dy", dy_TD, dy_TD.rows, dtable_VD.cols, f64);
  check_ids(kName, ids, dy_TD.rows, dtable_VD.rows);
  ex.kernels.embedding_backward(ex, dtable_VD, dy_TD, ids);
}

void bias_forward(Exec& ex, View y_TF, ConstView bias_F) {
  const bool f64 = y_TF.dtype == DType::kF64;
  check_activation("bias_forward", "y", y_TF, y_TF.rows, y_TF.cols, f64);
  check_activation("bias_forward", "bias", bias_F, 1, y_TF.cols, f64);
  ex.kernels.bias_forward(ex, y_TF, bias_F);
}

void bias_backward(Exec& ex, View dbias_F, ConstView dy_TF) {
  const bool f64 = dy_TF.dtype == DType::kF64;
  check_activation("bias_backward", "dy", dy_TF, dy_TF.rows, dy_TF.cols, f64);
  check_statistic("bias_backward", "dbias", dbias_F, 1, dy_TF.cols, f64);
  ex.kernels.bias_backward(ex, dbias_F, dy_TF);
}

void scale(Exec& ex, View x, double factor) {
  check_activation("scale", "x", x, x.rows, x.cols, x.dtype == DType::kF64);
  ex.kernels.scale(ex, x, factor);
}

}  // namespace hadal::kernels
