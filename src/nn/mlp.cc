#include "nn/mlp.h"

#include "kernels/swiglu.h"

namespace hadal {

Mlp::Mlp(const std::vector<std::string>& prefixes, index_t hidden, index_t intermediate, Precision precision,
         bool train)
    : intermediate_(intermediate) {
  std::vector<LinearPart> gate_up, down;
  for (const std::string& prefix : prefixes) {
    gate_up.push_back({prefix + ".gate_proj", intermediate});
    gate_up.push_back({prefix + ".up_proj", intermediate});
    down.push_back({prefix + ".down_proj", hidden});
  }
  const auto num_matrices = static_cast<index_t>(prefixes.size());
  // V3 report 3.3.3: inputs of the MoE up-projections have power-of-two scales, because they travel quantised.
  gate_up_ = Linear(std::move(gate_up), hidden, precision,
                    {.num_matrices = num_matrices, .power_of_two = num_matrices > 1, .train = train});
  down_ = Linear(std::move(down), intermediate, precision, {.num_matrices = num_matrices, .train = train});
}

void Mlp::forward(Context& ctx, View y_TD, ConstView x_TD, Write write, Saved* saved,
                  std::span<const index_t> offsets) const {
  const ArenaScope scope(ctx.scratch);
  const bool compress = saved != nullptr && ctx.precision.fp8, keep = saved != nullptr && !compress;
  const bool keep_hidden = saved != nullptr && !ctx.recompute.swiglu;
  const View gate_up = keep ? ctx.keep(x_TD.rows, 2 * intermediate_) : ctx.temp(x_TD.rows, 2 * intermediate_);
  const View hidden = keep_hidden ? ctx.keep(x_TD.rows, intermediate_) : ctx.temp(x_TD.rows, intermediate_);
  gate_up_.forward(ctx, gate_up, x_TD, Write::kAssign, offsets);
  kernels::swiglu_forward(ctx.exec, hidden, gate_up);
  down_.forward(ctx, y_TD, hidden, write, offsets);
  if (saved == nullptr) return;
  saved->gate_up.save(ctx, gate_up, compress ? SavedActivation::Form::kE4M3 : SavedActivation::Form::kAsIs);
  if (keep_hidden) saved->hidden = hidden;
}

void Mlp::backward(Context& ctx, View dx_TD, ConstView dy_TD, ConstView x_TD, Write write, const Saved& saved,
                   std::span<const index_t> offsets) {
  const ConstView gate_up = saved.gate_up.restore(ctx);
  ConstView hidden = saved.hidden;
  if (hidden.empty()) {
    const View again = ctx.temp(x_TD.rows, intermediate_);
    kernels::swiglu_forward(ctx.exec, again, gate_up);
    hidden = again;
  }
  const View dhidden = ctx.temp(x_TD.rows, intermediate_), dgate_up = ctx.temp(x_TD.rows, 2 * intermediate_);
  down_.backward_input(ctx, dhidden, dy_TD, Write::kAssign, offsets);
  down_.backward_weight(ctx, dy_TD, hidden, offsets);
  kernels::swiglu_backward(ctx.exec, dgate_up, dhidden, gate_up);
  gate_up_.backward_input(ctx, dx_TD, dgate_up, write, offsets);
  gate_up_.backward_weight(ctx, dgate_up, x_TD, offsets);
}

void Mlp::visit_params(const ParamVisitor& v) {
  gate_up_.visit_params(v);
  down_.visit_params(v);
}

void Mlp::pack(const PackPass& pass, PackAs as) {
  gate_up_.pack(pass, as);
  down_.pack(pass, as);
}

void Mlp::place_expert(int e, const std::byte* gate_up, const std::byte* down) {
  gate_up_.packed()->matrices.at(static_cast<std::size_t>(e)) = gate_up;
  down_.packed()->matrices.at(static_cast<std::size_t>(e)) = down;
}

void Mlp::refresh(Exec& ex) {
  gate_up_.refresh(ex);
  down_.refresh(ex);
}

}  // namespace hadal
