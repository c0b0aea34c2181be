#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void router_forward([[maybe_unused]] Exec& ex, const RouterChoice& choice, ConstView logits_TE, ConstView bias_E, const RouterPolicy& policy) { fail("kernels: reference router_forward is not there yet"); }
void router_backward([[maybe_unused]] Exec& ex, View dlogits_TE, ConstView dweight_TA, ConstView dscores_TE, const RouterChoice& choice, const RouterPolicy& policy) { fail("kernels: reference router_backward is not there yet"); }

}  // namespace hadal::kernels::ref
