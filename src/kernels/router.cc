#include "kernels/router.h"

#include "kernels/table.h"

namespace hadal::kernels {

void router_forward(Exec& ex, const RouterChoice& choice, ConstView logits_TE, ConstView bias_E, const RouterPolicy& policy) { ex.kernels.router_forward(ex, choice, logits_TE, bias_E, policy); }
void router_backward(Exec& ex, View dlogits_TE, ConstView dweight_TA, ConstView dscores_TE, const RouterChoice& choice, const RouterPolicy& policy) { ex.kernels.router_backward(ex, dlogits_TE, dweight_TA, dscores_TE, choice, policy); }

}  // namespace hadal::kernels
