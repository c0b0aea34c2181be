#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {

void convert(Exec& /*ex*/, View y, ConstView x, Write write) {
  const In in(x);
  const Out out(y);
  for (index_t r = 0; r < x.rows; ++r)
    for (index_t c = 0; c < x.cols; ++c) out.set(r, c, write == Write::kAdd ? out(r, c) + in(r, c) : in(r, c));
}

void embedding_forward(Exec& /*ex*/, View y_TD, ConstView table_VD, std::span<const int> ids) {
  const In table(table_VD);
  const Out y(y_TD);
  for (index_t t = 0; t < y_TD.rows; ++t)
    for (index_t d = 0; d < y_TD.cols; ++d) y.set(t, d, table(ids[static_cast<std::size_t>(t)], d));
}

void embedding_backward(Exec& /*ex*/, View dtable_VD, ConstView dy_TD, std::span<const int> ids) {
  const In dy(dy_TD);
  const Out dtable(dtable_VD);
  for (index_t t = 0; t < dy_TD.rows; ++t)
    for (index_t d = 0; d < dy_TD.cols; ++d) dtable.add(ids[static_cast<std::size_t>(t)], d, dy(t, d));
}

void bias_forward(Exec& /*ex*/, View y_TF, ConstView bias_F) {
  const In bias(bias_F);
  const Out y(y_TF);
  for (index_t t = 0; t < y_TF.rows; ++t)
    for (index_t f = 0; f < y_TF.cols; ++f) y.add(t, f, bias(0, f));
}

void bias_backward(Exec& /*ex*/, View dbias_F, ConstView dy_TF) {
  const In dy(dy_TF);
  const Out dbias(dbias_F);
  for (index_t f = 0; f < dy_TF.cols; ++f) {
    double sum = 0;
    for (index_t t = 0; t < dy_TF.rows; ++t) sum += dy(t, f);
    dbias.add(0, f, sum);
  }
}

void scale(Exec& /*ex*/, View x, double factor) {
  const Out out(x);
  for (index_t r = 0; r < x.rows; ++r)
    for (index_t c = 0; c < x.cols; ++c) out.set(r, c, out(r, c) * factor);
}

}  // namespace hadal::kernels::ref
