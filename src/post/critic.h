#pragma once
// A value head for PPO: what reward an answer will still earn, read off the policy's final states. It shares the
// policy's trunk, whose weights get its gradient too.
#include <optional>

#include "post/policy_batch.h"
#include "post/tensor_file.h"
#include "train/optimizer.h"

namespace hadal {

struct CriticOptions {
  double lr = 1e-3, weight = 0.1, clip = 0.2;
  bool into_trunk = true;
  template <class V>
  void visit(V&& v) {
    v("lr", lr, "learning rate of the value head");
    v("weight", weight, "of its loss beside the policy's");
    v("clip", clip, "a value moves at most so far from the one at sampling; 0: freely");
    v("into_trunk", into_trunk, "the trunk learns from the critic's loss too");
  }
};

/// value_t = w . state_t + b, of the state that predicts token t. In f32.
class Critic {
 public:
  Critic(index_t hidden_size, const CriticOptions& options);
  const CriticOptions& options() const { return options_; }

  /// Values of final states.
  std::vector<double> values(ConstView x_TD, std::span<const index_t> rows) const;
  /// Adds the gradients of the head, and of the states (dx_TD, +=, where into_trunk).
  void backward(const HeadPass& pass, std::span<const index_t> rows, std::span<const double> dvalue_T);
  /// One step of AdamW, or none when the gradient is not to be `used`; step counts from 1.
  void step(Exec& ex, std::int64_t step, bool used);

  /// critic.safetensors of a checkpoint: all that a resumed run needs. load throws Error when it does not fit.
  void save(const std::filesystem::path& folder);
  void load(const std::filesystem::path& folder);
  NamedViews state();

 private:
  void visit(const ParamVisitor& v);
  CriticOptions options_;
  Tensor weight_, dweight_, bias_, dbias_;
  std::optional<Optimizer> optimizer_;
};

/// Values of every token of every sample, before an update.
std::vector<std::vector<double>> sample_values(Context& ctx, Model& model, const Critic& critic,
                                               std::span<const PolicySample> samples);

}  // namespace hadal
