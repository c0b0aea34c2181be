#include "nn/mtp.h"

namespace hadal {

MtpModule::MtpModule(const ModelConfig& c, int depth, float softmax_factor, kernels::RopeStyle style,
                     Precision precision, bool train)
    : block_(c, c.num_hidden_layers + depth - 1, softmax_factor, style, precision, train) {
  const std::string prefix = str_cat("model.layers.", c.num_hidden_layers + depth - 1);
  const auto eps = static_cast<float>(c.rms_norm_eps);
  embedding_norm_ = Norm(prefix + ".enorm", c.hidden_size, eps, precision, train);
  hidden_norm_ = Norm(prefix + ".hnorm", c.hidden_size, eps, precision, train);
  head_norm_ = Norm(prefix + ".shared_head.norm", c.hidden_size, eps, precision, train);
  projection_ = Linear({{prefix + ".eh_proj", c.hidden_size}}, 2 * index_t{c.hidden_size}, precision,
                       {.hold_fp8 = false, .train = train});
}

View MtpModule::forward(Context& ctx, View embedding_TD, ConstView hidden_TD, const ForwardBatch& batch,
                        const BalancePolicy* balance, Saved* saved, LayerCache* cache,
                        kernels::RouterChoice* routed) const {
  const index_t rows = hidden_TD.rows, hidden = hidden_TD.cols;
  const bool keep = saved != nullptr;
  const View joined = keep ? ctx.keep(rows, 2 * hidden) : ctx.temp(rows, 2 * hidden);
  const View rstd_embedding = keep ? ctx.keep_wide(1, rows) : View{},
             rstd_hidden = keep ? ctx.keep_wide(1, rows) : View{};
  embedding_norm_.forward(ctx, joined.slice_cols(0, hidden), rstd_embedding, embedding_TD);
  hidden_norm_.forward(ctx, joined.slice_cols(hidden, hidden), rstd_hidden, hidden_TD);
  const View x = keep ? ctx.keep(rows, hidden) : ctx.temp(rows, hidden);
  projection_.forward(ctx, x, joined);
  const View out = block_.forward(ctx, x, batch, balance, keep ? &saved->block : nullptr, cache, routed);
  if (keep) {
    saved->embedding_TD = embedding_TD, saved->hidden_TD = hidden_TD;
    saved->rstd_embedding = rstd_embedding, saved->rstd_hidden = rstd_hidden;
    saved->joined_Tx2D = joined, saved->x_TD = out;
  }
  return out;
}

void MtpModule::backward(Context& ctx, View dembedding_TD, View dhidden_TD, View dx_TD, const ForwardBatch& batch,
                         const Saved& saved) {
  const index_t rows = dx_TD.rows, hidden = dx_TD.cols;
  block_.backward(ctx, dx_TD, batch, saved.block);
  const View djoined = ctx.temp(rows, 2 * hidden);
  projection_.backward_input(ctx, djoined, dx_TD, Write::kAssign);
  projection_.backward_weight(ctx, dx_TD, saved.joined_Tx2D);
  hidden_norm_.backward(ctx, dhidden_TD, djoined.slice_cols(hidden, hidden), saved.hidden_TD, saved.rstd_hidden,
                        Write::kAdd);
  embedding_norm_.backward(ctx, dembedding_TD, djoined.slice_cols(0, hidden), saved.embedding_TD, saved.rstd_embedding,
                           Write::kAssign);
}

void MtpModule::visit_params(const ParamVisitor& v) {
  embedding_norm_.visit_params(v);
  hidden_norm_.visit_params(v);
  projection_.visit_params(v);
  head_norm_.visit_params(v);
  block_.visit_params(v);
}

void MtpModule::pack(const PackPass& pass, const PackRecipe& recipe) {
  projection_.pack(pass, recipe.dense);
  block_.pack(pass, recipe);
}

void MtpModule::refresh(Exec& ex) {
  projection_.refresh(ex);
  block_.refresh(ex);
}

}  // namespace hadal
