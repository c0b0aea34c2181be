#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void convert(Exec& ex, View y, ConstView x, Write write) { ref::convert(ex, y, x, write); }
void embedding_forward(Exec& ex, View y_TD, ConstView table_VD, std::span<const int> ids) { ref::embedding_forward(ex, y_TD, table_VD, ids); }
void embedding_backward(Exec& ex, View dtable_VD, ConstView dy_TD, std::span<const int> ids) { ref::embedding_backward(ex, dtable_VD, dy_TD, ids); }
void bias_forward(Exec& ex, View y_TF, ConstView bias_F) { ref::bias_forward(ex, y_TF, bias_F); }
void bias_backward(Exec& ex, View dbias_F, ConstView dy_TF) { ref::bias_backward(ex, dbias_F, dy_TF); }
void scale(Exec& ex, View x, double factor) { ref::scale(ex, x, factor); }

#include "kernels/cpu/isa_end.h"
