#pragma once
// Low-rank adapters (LoRA, arXiv 2106.09685): W = W0 + s B A with frozen W0, s = alpha / rank.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "train/optimizer.h"

namespace hadal {

struct LoraOptions {
  int rank = 0;
  double alpha = 16;
  std::vector<std::string> targets = {"q_proj",    "k_proj", "v_proj",  "q_a_proj",  "q_b_proj", "kv_a_proj_with_mqa",
                                      "kv_b_proj", "o_proj", "up_proj", "gate_proj", "down_proj"};
  bool rank_stabilised = false;
  std::string adapter;
  template <class V>
  void visit(V&& v) {
    v("rank", rank, "of the adapters; 0: train all weights");
    v("alpha", alpha, "the adapters' product is scaled by alpha / rank");
    v("targets", targets, "which matrices get one, by the last part of their name; experts included");
    v("rank_stabilised", rank_stabilised, "scale by alpha / sqrt(rank) (rsLoRA)");
    v("adapter", adapter, "start from an adapter folder in PEFT's format; its rank, alpha and targets hold",
      {.placeholder = "DIR"});
  }
};

/// The adapters of a model. The model itself always holds W = W0 + s B A in its own precision, so forward, backward,
/// generation and saving know nothing of adapters, and what is trained is what a merged model computes. Training:
/// dA = s B^T dW, dB = s dW A^T. It saves the moments and masters of the weights, not their gradients.
class Lora {
 public:
  /// Adapters for `targets` of a model whose weights are loaded: A uniform in +-1 / sqrt(in), a function of (seed,
  /// name); B zero. Throws Error when no matrix has such a name.
  Lora(Exec& ex, Model& model, const LoraOptions& options, std::uint64_t seed);

  /// For Optimizer: A and B by the names that PEFT gives them.
  TrainedParams params();
  /// Turns the gradients of the weights into those of A and B (+=), and clears the former.
  void take_gradients(Exec& ex);
  /// Brings the model up to date: W = W0 + s B A.
  void apply(Exec& ex);
  /// Calls run() on the model as it was given: without adapters, and with the router bias of then.
  void without(Exec& ex, const std::function<void()>& run);

  /// adapter_model.safetensors and adapter_config.json, as PEFT reads them.
  void save(const std::filesystem::path& folder, const std::string& base_model) const;
  /// A and B from such a folder, for the same rank and targets. Throws Error for whatever does not fit.
  void load(Exec& ex, const std::filesystem::path& folder);

 private:
  struct Adapter {
    Param weight;  // of the model
    Tensor base, a, b, da, db;
  };
  double scale() const;

  Model& model_;
  LoraOptions options_;
  std::vector<Adapter> adapters_;
  std::vector<std::pair<View, Tensor>> fixed_;  // what no gradient trains, as it was given
};

/// The adapters that the options ask for; nullptr with rank 0. Arguments and errors as for Lora.
std::unique_ptr<Lora> make_lora(Exec& ex, Model& model, LoraOptions options, std::uint64_t seed);

/// Rank, alpha and targets of an adapter folder; the rest of `options` stays.
LoraOptions read_adapter_config(const std::filesystem::path& folder, LoraOptions options);

}  // namespace hadal
