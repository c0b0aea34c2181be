#pragma once
#include <memory>

#include "formats/model_config.h"
#include "kernels/rope.h"
#include "nn/cache.h"
#include "nn/forward_batch.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/saved_activation.h"

namespace hadal {

/// What one attention layer keeps between forward and backward. Empty views: recomputed or not used by this kind.
struct AttentionSaved {
  ConstView
      latent;  // MLA: [q latent | kv latent | rotated key] before the norms. GQA: q, k, v before norm and rotation
  View q, kv;  // after projection, norm and rotation
  View rstd_q, rstd_k;  // statistics of the norms inside attention
  View lse_HT;
  SavedActivation out;  // [T, H * dv]
};

/// Self-attention of one layer, from the normed input to the residual stream.
class AttentionModule {
 public:
  using Saved = AttentionSaved;
  virtual ~AttentionModule() = default;

  /// x_TD += attention(h_TD). saved: nullptr for inference. cache: nullptr, or what generation keeps (then `saved` is
  /// null, and the segments index the cache).
  virtual void forward(Context& ctx, View x_TD, ConstView h_TD, const ForwardBatch& batch, Saved* saved,
                       LayerCache* cache) const = 0;
  /// dh_TD (=) the gradient of the normed input; parameter gradients are added. dx_TD: gradient of the output.
  virtual void backward(Context& ctx, View dh_TD, ConstView dx_TD, ConstView h_TD, const ForwardBatch& batch,
                        const Saved& saved) = 0;
  virtual void visit_params(const ParamVisitor& v) = 0;
  virtual void refresh(Exec& ex) = 0;
  virtual void pack(const PackPass& pass, PackAs as) = 0;
};

}  // namespace hadal
