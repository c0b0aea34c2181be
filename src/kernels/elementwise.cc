#include "kernels/elementwise.h"

#include "kernels/table.h"

namespace hadal::kernels {

void convert(Exec& ex, View y, ConstView x, Write write) { ex.kernels.convert(ex, y, x, write); }
void embedding_forward(Exec& ex, View y_TD, ConstView table_VD, std::span<const int> ids) { ex.kernels.embedding_forward(ex, y_TD, table_VD, ids); }
void embedding_backward(Exec& ex, View dtable_VD, ConstView dy_TD, std::span<const int> ids) { ex.kernels.embedding_backward(ex, dtable_VD, dy_TD, ids); }
void bias_forward(Exec& ex, View y_TF, ConstView bias_F) { ex.kernels.bias_forward(ex, y_TF, bias_F); }
void bias_backward(Exec& ex, View dbias_F, ConstView dy_TF) { ex.kernels.bias_backward(ex, dbias_F, dy_TF); }
void scale(Exec& ex, View x, double factor) { ex.kernels.scale(ex, x, factor); }

}  // namespace hadal::kernels
