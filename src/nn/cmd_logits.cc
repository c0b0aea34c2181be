#include "nn/cmd_logits.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "kernels/elementwise.h"
#include "nn/weights.h"

namespace hadal {
namespace {

std::vector<int> parse_tokens(std::string_view text, const std::string& from, int vocab_size) {
  std::vector<int> tokens;
  const auto is_separator = [](char c) {
    return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '[' || c == ']';
  };
  for (std::size_t i = 0; i < text.size();) {
    if (is_separator(text[i])) {
      ++i;
      continue;
    }
    int value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), value);
    HADAL_CHECK(error == std::errc{} && (end == text.data() + text.size() || is_separator(*end)), from, ": \"",
                text.substr(i, 20), "\" is no token id");
    HADAL_CHECK(value >= 0 && value < vocab_size, from, ": token ", value, " is outside the vocabulary of ",
                vocab_size);
    tokens.push_back(value);
    i = static_cast<std::size_t>(end - text.data());
  }
  HADAL_CHECK(!tokens.empty(), from, ": no tokens");
  return tokens;
}

struct TokenOptions {
  std::string model, tokens, tokens_file, out, isa;
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder", {.required = true, .placeholder = "DIR"});
    v("tokens", tokens, "token ids, separated by commas");
    v("tokens_file", tokens_file, "file with token ids", {.placeholder = "FILE"});
    v("out", out, "safetensors file to write", {.required = true, .placeholder = "FILE"});
    v("threads", threads, "0: all CPUs");
  }
  std::vector<int> read_tokens(int vocab_size) const {
    HADAL_CHECK(tokens.empty() != tokens_file.empty(), "give one of --tokens and --tokens-file");
    if (!tokens.empty()) return parse_tokens(tokens, "--tokens", vocab_size);
    return parse_tokens(read_file(tokens_file), tokens_file, vocab_size);
  }
};

/// Everything a forward pass needs, in one place.
struct Session {
  ThreadPool pool;
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  Session(int threads, Precision precision)
      : pool(threads),
        exec(pool, precision.compute == DType::kF64 ? Isa::kReference : chosen_isa()),
        ctx{exec, saved, scratch, precision, {}} {}
};

struct InitOptions {
  std::string config, out, dtype = "bf16";
  std::int64_t seed = 1;
  template <class V>
  void visit(V&& v) {
    v("config", config, "config.json of the model", {.required = true, .placeholder = "FILE"});
    v("out", out, "folder to write", {.required = true, .placeholder = "DIR"});
    v("seed", seed, "of the random weights");
    v("dtype", dtype, "of the weights", {.choices = {"f32", "bf16", "f16"}});
  }
};

struct LogitsOptions : TokenOptions {
  std::string weights = "f32";
  bool mtp = false, hidden = false, router = false, absorbed = false;
  template <class V>
  void visit(V&& v) {
    TokenOptions::visit(v);
    v("weights", weights, "precision to compute in; fp8: E4M3 weights and activations, as the checkpoint's recipe says",
      {.choices = {"f32", "bf16", "fp8", "f64"}});
    v("mtp", mtp, "also mtp_logits [T-1, vocab]");
    v("hidden", hidden, "also hidden.N [T, D] (hidden.0 the embedding, hidden.N+1 after layer N) and final_hidden");
    v("router", router, "also router.N.topk_index and router.N.topk_weight");
    v("absorbed", absorbed, "attend in MLA's latent space, as decoding does");
  }
};

struct GradOptions : TokenOptions {
  double mtp_weight = 0;
  std::string precision = "f32";
  template <class V>
  void visit(V&& v) {
    TokenOptions::visit(v);
    v("mtp_weight", mtp_weight, "weight of the MTP loss");
    v("precision", precision, "to compute in", {.choices = {"f32", "bf16", "fp8", "f64"}});
  }
};

TensorToWrite to_write(std::string name, View v) {
  return {std::move(name), v.dtype == DType::kI32 ? DType::kI32 : DType::kF32, {v.rows, v.cols}, v};
}

}  // namespace

int cmd_init(Args args) {
  InitOptions o;
  if (!parse_options(o, args, {.verb = "init", .about = "random weights in the Hugging Face layout"})) return 0;
  const DType dtype = parse_dtype(o.dtype);
  Model model(load_model_config(o.config), Precision{.compute = dtype == DType::kF16 ? DType::kF32 : dtype}, false);
  model.init(static_cast<std::uint64_t>(o.seed));
  save_model(model, o.out, dtype);
  fmt::print("{}: {} parameters\n", o.out, model.num_parameters());
  return 0;
}

int cmd_logits(Args args) {
  LogitsOptions o;
  if (!parse_options(o, args, {.verb = "logits", .about = "logits of a token sequence"})) return 0;
  const ModelConfig config = load_model_config(o.model);
  Session s(o.threads, Precision::for_inference(o.weights, config));
  Model model(config, s.ctx.precision, false);
  load_weights(model, s.exec, o.model);
  const std::vector<int> ids = o.read_tokens(config.vocab_size);
  const auto num_tokens = static_cast<index_t>(ids.size());

  std::vector<TensorToWrite> result;
  ForwardProbe probe;
  const auto keep = [&](std::string name, ConstView v) {
    const View copy = s.saved.view(v.dtype == DType::kBF16 ? DType::kF32 : v.dtype, v.rows, v.cols);
    kernels::convert(s.exec, copy, v);
    result.push_back(to_write(std::move(name), copy));
  };
  if (o.hidden)
    probe.hidden = [&](int layer, ConstView x) {
      keep(layer >= config.num_hidden_layers ? "mtp_hidden" : str_cat("hidden.", layer + 1), x);
    };
  if (o.router)
    probe.router = [&](int layer, const kernels::RouterChoice& choice) {
      const std::string name = layer >= config.num_hidden_layers ? "mtp" : str_cat("router.", layer);
      result.push_back(to_write(name + ".topk_index", view_of(choice.index_TA)));
      result.push_back(to_write(name + ".topk_weight", choice.weight_TA));
    };
  const View final = s.saved.view(s.ctx.precision.compute, num_tokens, config.hidden_size);
  model.forward(s.ctx, final, ids, nullptr, o.absorbed, &probe);
  if (o.hidden) keep("final_hidden", final);
  const View logits = s.ctx.keep_wide(num_tokens, config.vocab_size);
  model.logits(s.ctx, logits, final);
  result.push_back(to_write("logits", logits));
  if (o.mtp) {
    const View mtp = s.ctx.keep_wide(num_tokens - 1, config.vocab_size);
    model.mtp_logits(s.ctx, mtp, final, ids, &probe);
    result.push_back(to_write("mtp_logits", mtp));
  }
  write_safetensors(o.out, std::move(result));
  return 0;
}

int cmd_grad(Args args) {
  GradOptions o;
  if (!parse_options(o, args, {.verb = "grad", .about = "gradient of the mean next-token loss for every parameter"}))
    return 0;
  const ModelConfig config = load_model_config(o.model);
  Session s(o.threads, Precision::parse(o.precision));
  Model model(config, s.ctx.precision, true);
  load_weights(model, s.exec, o.model);

  const std::vector<int> ids = o.read_tokens(config.vocab_size);
  const auto num_tokens = static_cast<index_t>(ids.size());
  HADAL_CHECK(num_tokens >= 2, "grad: needs at least two tokens, got ", num_tokens);
  Batch batch;
  batch.ids = ids;
  batch.targets.assign(ids.begin() + 1, ids.end());
  batch.targets.push_back(-1);
  for (int t = 0; t < static_cast<int>(num_tokens); ++t) batch.positions.push_back(t);
  batch.sequence_begins = batch.segment_begins = {0, num_tokens};

  LossPolicy policy;
  policy.loss_scale = 1.0 / static_cast<double>(num_tokens - 1);
  // Each loss is a mean over its own targets: MTP has one fewer.
  if (o.mtp_weight > 0)
    policy.mtp_weight = {o.mtp_weight * static_cast<double>(num_tokens - 1) / static_cast<double>(num_tokens - 2)};
  const LossReport report = model.train_micro_batch(s.ctx, batch, policy);
  float loss = static_cast<float>(report.main / static_cast<double>(report.main_tokens));
  if (!report.mtp.empty())
    loss += static_cast<float>(o.mtp_weight * report.mtp[0] / static_cast<double>(report.mtp_tokens[0]));

  std::vector<TensorToWrite> result;
  result.push_back({"loss", DType::kF32, {1}, view_of(Mat<const float>{&loss, 1, 1, 1})});
  model.visit_params([&](const Param& p) {
    if (p.grad.empty()) return;
    const auto shape = p.is_vector ? std::vector<index_t>{p.grad.cols} : std::vector<index_t>{p.grad.rows, p.grad.cols};
    result.push_back({"grad." + p.name, DType::kF32, shape, p.grad});
  });
  write_safetensors(o.out, std::move(result));
  fmt::print("loss {:.9g}\n", loss);
  return 0;
}

}  // namespace hadal
