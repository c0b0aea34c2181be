#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "base/random.h"
#include "nn/model.h"
#include "support/central_difference.h"
#include "support/small_config.h"

namespace hadal {

/// Threads, kernels and memory for one model under test.
struct Bench {
  ThreadPool pool;
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  explicit Bench(Precision precision, int threads = 2, Recompute recompute = {}, Isa isa = chosen_isa())
      : pool(threads),
        exec(pool, precision.compute == DType::kF64 ? Isa::kReference : isa),
        ctx{exec, saved, scratch, precision, recompute} {}
};

inline Precision precision_of(DType dtype) {
  return {.compute = dtype};
}

/// A V3-shaped model with every feature on, small enough for finite differences.
inline ModelConfig tiny_v3() {
  ModelConfig c = v3_shape();
  c.vocab_size = 23, c.hidden_size = 12, c.intermediate_size = 10, c.max_position_embeddings = 64;
  c.q_lora_rank = 6, c.kv_lora_rank = 5, c.qk_nope_head_dim = 3, c.qk_rope_head_dim = 4, c.v_head_dim = 5;
  c.moe_intermediate_size = 7, c.routed_scaling_factor = 2.5;
  c.num_nextn_predict_layers = 1, c.initializer_range = 0.4;
  return c;
}

inline ModelConfig tiny_qwen3() {
  ModelConfig c;
  c.model_type = ModelType::kQwen3;
  c.vocab_size = 19, c.hidden_size = 12, c.intermediate_size = 9, c.num_hidden_layers = 2;
  c.num_attention_heads = 4, c.num_key_value_heads = 2, c.head_dim = 6, c.max_position_embeddings = 64;
  c.attention_bias = true, c.tie_word_embeddings = true, c.initializer_range = 0.4;
  return c;
}

inline ModelConfig tiny_moe_v1() {
  ModelConfig c;
  c.model_type = ModelType::kDeepseek;
  c.vocab_size = 19, c.hidden_size = 12, c.intermediate_size = 9, c.num_hidden_layers = 2;
  c.num_attention_heads = c.num_key_value_heads = 2, c.head_dim = 6, c.max_position_embeddings = 64;
  c.n_routed_experts = 5, c.num_experts_per_tok = 2, c.moe_intermediate_size = 4, c.initializer_range = 0.4;
  return c;
}

/// Two sequences of random tokens, some targets masked.
inline Batch random_batch(const ModelConfig& c, std::vector<index_t> lengths, std::uint64_t seed) {
  Batch b;
  b.sequence_begins.push_back(0);
  for (const index_t length : lengths) {
    for (index_t i = 0; i < length; ++i) {
      const auto place = static_cast<std::uint64_t>(b.ids.size());
      const auto below = [&](std::uint64_t salt) {
        return static_cast<int>(
            random_below(seed + salt, Stream::kTest, place, static_cast<std::uint64_t>(c.vocab_size)));
      };
      b.ids.push_back(below(0));
      b.targets.push_back(i % 5 == 3 ? -1 : below(1));
      b.positions.push_back(static_cast<int>(i));
    }
    b.sequence_begins.push_back(static_cast<index_t>(b.ids.size()));
  }
  b.segment_begins = b.sequence_begins;
  return b;
}

/// Every trainable gradient, by name.
inline std::map<std::string, std::vector<double>> gradients(Model& model) {
  std::map<std::string, std::vector<double>> result;
  model.visit_params([&](const Param& p) {
    if (p.grad.empty()) return;
    std::vector<double>& g = result[p.name];
    for (index_t r = 0; r < p.grad.rows; ++r)
      for (index_t c = 0; c < p.grad.cols; ++c)
        g.push_back(p.grad.dtype == DType::kF64 ? p.grad.as<double>()(r, c) : p.grad.as<float>()(r, c));
  });
  return result;
}

inline void clear_gradients(Model& model) {
  model.visit_params([](const Param& p) {
    for (index_t r = 0; r < p.grad.rows; ++r)
      std::memset(p.grad.slice_rows(r, 1).data, 0, static_cast<std::size_t>(bytes_of(p.grad.dtype, p.grad.cols)));
  });
}

inline std::vector<Param> all_params(Model& model) {
  std::vector<Param> params;
  model.visit_params([&](const Param& p) { params.push_back(p); });
  return params;
}

/// The gradients that stand in `params` against central differences of value() in double, at three places of each.
/// value() may add to the gradients.
template <class Value>
void expect_gradients(const std::vector<Param>& params, const Value& value, double absolute = 1e-6,
                      double relative = 1e-5) {
  struct Place {
    const Param& param;
    index_t row, column;
    double got;
  };
  std::vector<Place> places;
  for (const Param& p : params) {
    if (p.grad.empty()) continue;
    for (int i = 0; i < 3; ++i) {
      const auto at = static_cast<index_t>(
          random_below(5, Stream::kTest, places.size(), static_cast<std::uint64_t>(p.value.count())));
      const index_t row = at / p.value.cols, column = at % p.value.cols;
      places.push_back({p, row, column, p.grad.as<double>()(row, column)});
    }
  }
  EXPECT_GT(places.size(), 24U);
  for (const Place& place : places) {
    const View of = place.param.value;
    const double want = central_difference(of.as<double>()(place.row, place.column), value);
    EXPECT_NEAR(place.got, want, absolute + relative * std::abs(want))
        << place.param.name << " at " << place.row << ", " << place.column;
  }
}

/// Logits of a whole sequence, in ctx.saved; `absorbed` needs the cache.
inline View logits_of(Bench& bench, Model& model, const std::vector<int>& ids, bool cached = false,
                      bool absorbed = false) {
  const auto rows = static_cast<index_t>(ids.size());
  const View hidden = bench.ctx.keep(rows, model.config().hidden_size),
             logits = bench.ctx.keep_wide(rows, model.config().vocab_size);
  SequenceCache cache = model.make_cache(rows);
  model.forward(bench.ctx, hidden, ids, cached ? &cache : nullptr, absorbed);
  model.logits(bench.ctx, logits, hidden);
  return logits;
}

/// |a - b| / |a|, of values in f32.
inline double distance(ConstView a, ConstView b) {
  double difference = 0, norm = 0;
  for (index_t i = 0; i < a.count(); ++i) {
    const double x = a.as<float>().data[i], y = b.as<float>().data[i];
    difference += (x - y) * (x - y), norm += x * x;
  }
  return std::sqrt(difference / norm);
}

}  // namespace hadal
