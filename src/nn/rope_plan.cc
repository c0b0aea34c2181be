#include "nn/rope_plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hadal {
namespace {

double yarn_gain(double factor, double coefficient) {
  return factor <= 1 ? 1.0 : 0.1 * coefficient * std::log(factor) + 1.0;
}

/// YaRN as DeepSeek's precompute_freqs_cis has it: a ramp over the pair index.
void apply_yarn(std::vector<double>& frequency, const ModelConfig& c, double original) {
  const RopeScaling& s = c.rope_scaling;
  const double dim = 2.0 * static_cast<double>(frequency.size());
  const auto pair_turning = [&](double times) {  // the pair that turns `times` times over the original length
    return dim * std::log(original / (times * 2 * std::numbers::pi)) / (2 * std::log(c.rope_theta));
  };
  const double first = std::max(std::floor(pair_turning(s.beta_fast)), 0.0);
  const double last = std::min(std::ceil(pair_turning(s.beta_slow)), dim - 1);
  for (std::size_t i = 0; i < frequency.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - first) / std::max(last - first, 0.001), 0.0, 1.0);
    frequency[i] = frequency[i] * (1 - ramp) + frequency[i] / s.factor * ramp;
  }
}

void apply_llama3(std::vector<double>& frequency, const RopeScaling& s, double original) {
  for (double& f : frequency) {
    const double turns = original * f / (2 * std::numbers::pi);
    const double keep = std::clamp((turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor), 0.0, 1.0);
    f *= keep + (1 - keep) / s.factor;
  }
}

}  // namespace

RopePlan make_rope_plan(const ModelConfig& c) {
  const RopeScaling& s = c.rope_scaling;
  const int dim = c.uses_mla() ? c.qk_rope_head_dim : c.head_dim;
  RopePlan plan;
  plan.style = c.uses_mla() ? kernels::RopeStyle::kInterleaved : kernels::RopeStyle::kHalfSplit;
  for (int i = 0; i < dim; i += 2)
    plan.inverse_frequency.push_back(std::pow(c.rope_theta, -static_cast<double>(i) / dim));
  const double original =
      s.original_max_position_embeddings > 0 ? s.original_max_position_embeddings : c.max_position_embeddings;
  if (s.type == "default") return plan;
  if (s.type == "linear") {
    for (double& f : plan.inverse_frequency) f /= s.factor;
  } else if (s.type == "llama3") {
    apply_llama3(plan.inverse_frequency, s, original);
  } else if (s.type == "yarn") {
    apply_yarn(plan.inverse_frequency, c, original);
    if (c.uses_mla()) {
      const double all = yarn_gain(s.factor, s.mscale_all_dim.value_or(0));
      plan.gain = yarn_gain(s.factor, s.mscale.value_or(1)) / all;
      plan.softmax_factor = all * all;
    } else {
      // attn_factor multiplies YaRN's own gain; Hugging Face's attention_factor replaces it.
      plan.gain = s.attention_factor.value_or(yarn_gain(s.factor, 1) * s.attn_factor.value_or(1));
    }
  } else {
    fail("rope_scaling.type: got \"", s.type, "\", want default|linear|llama3|yarn");
  }
  return plan;
}

Tensor make_rope_table(const RopePlan& plan, index_t num_positions, DType dtype) {
  const auto half = static_cast<index_t>(plan.inverse_frequency.size());
  Tensor table(dtype, num_positions, 2 * half);
  const auto fill = [&](auto mat) {
    using F = std::remove_reference_t<decltype(mat(0, 0))>;
    for (index_t p = 0; p < num_positions; ++p)
      for (index_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(p) * plan.inverse_frequency[static_cast<std::size_t>(i)];
        mat(p, i) = static_cast<F>(plan.gain * std::cos(angle));
        mat(p, half + i) = static_cast<F>(plan.gain * std::sin(angle));
      }
  };
  if (dtype == DType::kF64)
    fill(table.view().as<double>());
  else
    fill(table.view().as<float>());
  return table;
}

}  // namespace hadal
