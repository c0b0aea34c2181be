#pragma once
// The policy that the divergence is measured from: a frozen copy of the weights in the precision of training, so that
// the divergence is exactly zero where it was taken.
#include <filesystem>

#include "nn/model.h"
#include "post/tensor_file.h"

namespace hadal {

class ReferencePolicy {
 public:
  /// A copy of `policy` as it is now.
  ReferencePolicy(Exec& exec, Model& policy);
  /// The same again (R1-Zero: every 400 steps).
  void refresh(Model& policy);
  Model& model() { return model_; }

  /// The weights, as a resumed run needs them.
  NamedViews state();
  /// From a file that holds state(). Throws Error when it does not fit.
  void load(const std::filesystem::path& file);

 private:
  Exec& exec_;
  Model model_;
};

}  // namespace hadal
