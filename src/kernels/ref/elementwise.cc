#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void convert([[maybe_unused]] Exec& ex, View y, ConstView x, Write write) { fail("kernels: reference convert is not there yet"); }
void embedding_forward([[maybe_unused]] Exec& ex, View y_TD, ConstView table_VD, std::span<const int> ids) { fail("kernels: reference embedding_forward is not there yet"); }
void embedding_backward([[maybe_unused]] Exec& ex, View dtable_VD, ConstView dy_TD, std::span<const int> ids) { fail("kernels: reference embedding_backward is not there yet"); }
void bias_forward([[maybe_unused]] Exec& ex, View y_TF, ConstView bias_F) { fail("kernels: reference bias_forward is not there yet"); }
void bias_backward([[maybe_unused]] Exec& ex, View dbias_F, ConstView dy_TF) { fail("kernels: reference bias_backward is not there yet"); }
void scale([[maybe_unused]] Exec& ex, View x, double factor) { fail("kernels: reference scale is not there yet"); }

}  // namespace hadal::kernels::ref
