#include "post/critic.h"

namespace hadal {
namespace {

constexpr const char* kCriticFile = "critic.safetensors";

/// Calls f(row, d, x) for every element of the wanted rows.
template <class F>
void for_states(ConstView x_TD, std::span<const index_t> rows, const F& f) {
  for (std::size_t k = 0; k < rows.size(); ++k)
    for (index_t d = 0; d < x_TD.cols; ++d) {
      const index_t t = rows[k];
      f(k, d,
        x_TD.dtype == DType::kF64    ? x_TD.as<double>()(t, d)
        : x_TD.dtype == DType::kBF16 ? static_cast<double>(to_f32(x_TD.as<bf16>()(t, d)))
                                     : static_cast<double>(x_TD.as<float>()(t, d)));
    }
}

}  // namespace

Critic::Critic(index_t hidden_size, const CriticOptions& options)
    : options_(options),
      weight_(DType::kF32, 1, hidden_size),
      dweight_(DType::kF32, 1, hidden_size),
      bias_(DType::kF32, 1, 1),
      dbias_(DType::kF32, 1, 1) {
  OptimizerOptions adamw{.weight_decay = 0};
  adamw.moments = "f32";
  optimizer_.emplace(TrainedParams{.visit = [this](const ParamVisitor& v) { visit(v); }, .changed = [](Exec&) {}},
                     adamw);
}

void Critic::visit(const ParamVisitor& v) {
  v(Param{.name = "value_head.weight", .value = weight_.view(), .grad = dweight_.view()});
  v(Param{.name = "value_head.bias", .is_vector = true, .value = bias_.view(), .grad = dbias_.view()});
}

std::vector<double> Critic::values(ConstView x_TD, std::span<const index_t> rows) const {
  const std::span<const float> w = weight_.view().flat<float>();
  std::vector<double> value(rows.size(), bias_.view().as<float>()(0, 0));
  for_states(x_TD, rows, [&](std::size_t k, index_t d, double x) {
    value[k] += static_cast<double>(w[static_cast<std::size_t>(d)]) * x;
  });
  return value;
}

void Critic::backward(const HeadPass& pass, std::span<const index_t> rows, std::span<const double> dvalue_T) {
  const std::span<const float> w = weight_.view().flat<float>();
  std::vector<double> dw(w.size());
  double db = 0;
  for (const double d : dvalue_T) db += d;
  for_states(pass.x_TD, rows,
             [&](std::size_t k, index_t d, double x) { dw[static_cast<std::size_t>(d)] += dvalue_T[k] * x; });
  const std::span<float> dweight = dweight_.view().flat<float>();
  for (std::size_t d = 0; d < dw.size(); ++d) dweight[d] += static_cast<float>(dw[d]);
  dbias_.view().as<float>()(0, 0) += static_cast<float>(db);
  if (!options_.into_trunk) return;
  for_states(pass.x_TD, rows, [&](std::size_t k, index_t d, double) {
    const double add = dvalue_T[k] * static_cast<double>(w[static_cast<std::size_t>(d)]);
    const index_t t = rows[k];
    if (pass.dx_TD.dtype == DType::kBF16) {
      bf16& to = pass.dx_TD.as<bf16>()(t, d);
      to = to_bf16(to_f32(to) + static_cast<float>(add));
    } else if (pass.dx_TD.dtype == DType::kF64) {
      pass.dx_TD.as<double>()(t, d) += add;
    } else {
      pass.dx_TD.as<float>()(t, d) += static_cast<float>(add);
    }
  });
}

void Critic::step(Exec& ex, std::int64_t step, bool used) {
  if (!used) return optimizer_->zero_grad(ex);
  optimizer_->step(ex, options_.lr, optimizer_->grad_norm(ex), step);
}

void Critic::save(const std::filesystem::path& folder) {
  write_views(folder / kCriticFile, state());
}

void Critic::load(const std::filesystem::path& folder) {
  read_views(folder / kCriticFile, state());
}

NamedViews Critic::state() {
  NamedViews views;
  for (const Optimizer::State& s : optimizer_->states()) {
    views.emplace_back("value." + s.param.name, s.param.value);
    views.emplace_back("first_moment." + s.param.name, s.first_moment);
    views.emplace_back("second_moment." + s.param.name, s.second_moment);
  }
  return views;
}

std::vector<std::vector<double>> sample_values(Context& ctx, Model& model, const Critic& critic,
                                               std::span<const PolicySample> samples) {
  std::vector<std::vector<double>> result;
  for (const PolicySample& s : samples) {
    const ArenaScope scope(ctx.scratch);
    std::vector<int> ids = s.prompt;
    ids.insert(ids.end(), s.tokens.begin(), s.tokens.end() - 1);
    const View states = ctx.temp(std::ssize(ids), model.config().hidden_size);
    model.forward(ctx, states, ids);
    std::vector<index_t> rows;
    for (auto t = std::ssize(s.prompt) - 1; t < std::ssize(ids); ++t) rows.push_back(t);
    result.push_back(critic.values(states, rows));
  }
  return result;
}

}  // namespace hadal
