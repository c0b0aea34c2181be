#include "nn/gguf_weights.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "formats/ggml_dequantize.h"
#include "formats/ggml_quantize.h"
#include "formats/gguf_model.h"
#include "formats/tokenizer_gguf.h"
#include "kernels/elementwise.h"
#include "nn/weights.h"

namespace hadal {
namespace {

using Layout = GgufPlace::Layout;

void set_row(Exec& ex, const View& to, index_t row, const float* from) {
  kernels::convert(ex, to.slice_rows(row, 1), view_of(Mat<const float>{from, 1, to.cols, to.cols}));
}

void get_row(float* to, const View& from, index_t row) {
  for (index_t c = 0; c < from.cols; ++c)
    to[c] = from.dtype == DType::kF32    ? from.as<float>()(row, c)
            : from.dtype == DType::kBF16 ? to_f32(from.as<bf16>()(row, c))
                                         : static_cast<float>(from.as<double>()(row, c));
}

/// Of a head with `half` pairs: where our row r (halves one after the other) stands in GGUF (pairs in turn).
index_t interleaved_row(index_t r, index_t half) {
  const index_t head = r / (2 * half), in_head = r % (2 * half);
  return head * 2 * half + in_head % half * 2 + in_head / half;
}

/// What a type without blocks is; nothing: it has blocks.
std::optional<DType> dtype_of(GgmlType type) {
  return type == GgmlType::kF32    ? std::optional(DType::kF32)
         : type == GgmlType::kF16  ? std::optional(DType::kF16)
         : type == GgmlType::kBF16 ? std::optional(DType::kBF16)
                                   : std::nullopt;
}

/// A vector as a column, so that its elements can change places like rows.
View as_column(const Param& p) {
  return p.is_vector ? View{p.value.data, p.value.dtype, p.value.cols, 1, 1} : p.value;
}

/// Sizes of the heads of kv_b_proj.
struct KvB {
  index_t heads, nope, value, rank;
  explicit KvB(const ModelConfig& c)
      : heads(c.num_attention_heads), nope(c.qk_nope_head_dim), value(c.v_head_dim), rank(c.kv_lora_rank) {}
};

class GgufSource final : public WeightSource {
 public:
  explicit GgufSource(const std::filesystem::path& path) : file_(path) {}

  void match(Model& model) override {
    config_ = model.config();
    std::vector<std::string> problems;
    std::set<std::string> used;
    const auto find = [&](const std::string& name, const Param& p, const std::vector<index_t>& want) {
      const GgufTensor* t = file_.find_tensor(name);
      if (t == nullptr) {
        problems.push_back(str_cat("missing ", name, " (", p.name, ")"));
        return t;
      }
      used.insert(name);
      if (!can_dequantize(t->type))
        problems.push_back(str_cat(t->name, " is ", ggml_type_info(t->type).name, ", which cannot be read yet"));
      else if (t->dims != want)
        problems.push_back(str_cat(
            t->name, fmt::format(" has dimensions [{}], want [{}]", fmt::join(t->dims, ", "), fmt::join(want, ", "))));
      return t;
    };
    model.visit_params([&](const Param& p) {
      Source from{.place = gguf_place(config_, p.name)};
      if (from.place.layout == Layout::kKvB && file_.find_tensor(from.place.tensor) == nullptr) {
        const KvB size(config_);
        const std::string prefix = from.place.tensor.substr(0, from.place.tensor.find("attn_kv_b"));
        from.key = find(prefix + "attn_k_b.weight", p, {size.nope, size.rank, size.heads});
        from.tensor = find(prefix + "attn_v_b.weight", p, {size.rank, size.value, size.heads});
      } else {
        std::vector<index_t> want = {p.value.cols};
        if (!p.is_vector) want.push_back(p.value.rows);
        if (from.place.expert >= 0) want.push_back(config_.n_routed_experts);
        from.tensor = find(from.place.tensor, p, want);
      }
      if (!problems.empty()) return;
      const index_t first = from.place.expert >= 0 ? from.place.expert * p.value.count() : 0;
      from.data = from.tensor->data + ggml_bytes(from.tensor->type, first);
      const auto add = [&](const GgufTensor& t, const std::byte* data, index_t rows, bool whole) {
        return ahead_.add(t.file, data, rows, ggml_bytes(t.type, t.dims[0]), whole);
      };
      if (from.key != nullptr) {
        const KvB size(config_);
        from.key_piece = add(*from.key, from.key->data, size.heads * size.rank, true);
        from.piece = add(*from.tensor, from.data, size.heads * size.value, true);
      } else {
        from.piece =
            add(*from.tensor, from.data, p.is_vector ? 1 : p.value.rows, from.place.layout == Layout::kInterleaved);
      }
      sources_[p.name] = from;
    });
    for (const GgufTensor& t : file_.tensors())
      if (!used.contains(t.name) && t.name != "rope_freqs.weight" && !of_later_block(t.name))
        problems.push_back("no place for " + t.name);
    fail_on_problems(file_.where(), problems);
  }

  void read(Exec& ex, const Param& p) override {
    const Source& from = sources_.at(p.name);
    const auto read_to = [&](const Param& to) {
      if (from.key != nullptr)
        return ahead_.pass(from.key_piece, 0, from.key_piece.num_rows, [&](const ReadAhead::Rows& keys) {
          ahead_.pass(from.piece, 0, from.piece.num_rows,
                      [&](const ReadAhead::Rows& values) { read_split(ex, to, from, keys.part, values.part); });
        });
      ahead_.pass(from.piece, to.first_row, to.value.rows,
                  [&](const ReadAhead::Rows& rows) { read_part(ex, rows_of(to, rows), from, rows); });
    };
    if (p.value.dtype != DType::kE4M3) return read_to(p);
    Tensor wide(DType::kF32, p.value.rows, p.value.cols);
    Param as_f32 = p;
    as_f32.value = wide.view(), as_f32.scales = {};
    read_to(as_f32);
    set_param(ex, p, wide.view());
  }

  bool finer_than_bf16() const override {
    return std::ranges::any_of(file_.tensors(),
                               [](const GgufTensor& t) { return t.dims.size() > 1 && t.type != GgmlType::kBF16; });
  }

  bool is_mapped(const std::string&) const override { return true; }

  void read_rows(Exec& ex, View to, const std::string& name, std::span<const int> rows) override {
    const Source& from = sources_.at(name);
    const GgmlType type = from.tensor->type;
    for_rows(ex, rows, [&](index_t i, index_t row) {
      std::vector<float> values(static_cast<std::size_t>(to.cols));
      ggml_dequantize(values.data(), type, from.data + ggml_bytes(type, row * to.cols), to.cols);
      set_row(ex, to, i, values.data());
    });
  }

 private:
  struct Source {
    GgufPlace place;
    const GgufTensor *tensor = nullptr, *key = nullptr;  // key: attn_k_b of a split kv_b, whose attn_v_b is `tensor`
    const std::byte* data = nullptr;                     // of `tensor`, or of the expert in it
    ReadAhead::Piece piece, key_piece;
  };

  bool of_later_block(const std::string& name) const {
    return name.starts_with("blk.") && std::atoi(name.c_str() + 4) >= config_.num_hidden_layers;
  }

  static void read_part(Exec& ex, const Param& p, const Source& from, const ReadAhead::Rows& rows) {
    // A vector is one row, unless its elements change places.
    const bool moves = from.place.layout == Layout::kInterleaved;
    const View to = moves ? as_column(p) : p.value;
    const index_t half = moves ? from.tensor->dims.back() / from.place.heads / 2 : 0;
    const GgmlType type = from.tensor->type;
    const std::byte* const begin = moves ? rows.part : rows.row(rows.first);  // what moves is one part
    const std::optional<DType> plain = dtype_of(type);
    if (plain && !moves) return kernels::convert(ex, to, {begin, *plain, to.rows, to.cols, to.cols});
    constexpr index_t kRows = 8;  // of a task
    ex.pool.parallel_for((to.rows + kRows - 1) / kRows, [&](index_t task, int) {
      std::vector<float> buffer;
      for (index_t r = task * kRows; r < std::min(to.rows, (task + 1) * kRows); ++r) {
        const index_t stored = moves ? interleaved_row(p.first_row + r, half) : r;
        const std::byte* data = begin + ggml_bytes(type, stored * to.cols);
        if (to.dtype == DType::kF32) {
          ggml_dequantize(to.as<float>().row(r).data(), type, data, to.cols);
          continue;
        }
        buffer.resize(static_cast<std::size_t>(to.cols));
        ggml_dequantize(buffer.data(), type, data, to.cols);
        set_row(ex, to, r, buffer.data());
      }
    });
  }

  /// attn_k_b [heads, rank, nope] and attn_v_b [heads, value, rank] into the rows of each head.
  void read_split(Exec& ex, const Param& p, const Source& from, const std::byte* keys, const std::byte* values) const {
    const KvB size(config_);
    const GgmlType k = from.key->type, v = from.tensor->type;
    ex.pool.parallel_for(size.heads, [&](index_t h, int) {
      const index_t first = h * (size.nope + size.value);
      std::vector<float> key(static_cast<std::size_t>(size.rank * size.nope)), row(static_cast<std::size_t>(size.rank));
      ggml_dequantize(key.data(), k, keys + ggml_bytes(k, h * size.rank * size.nope), size.rank * size.nope);
      for (index_t n = 0; n < size.nope; ++n) {
        for (index_t c = 0; c < size.rank; ++c)
          row[static_cast<std::size_t>(c)] = key[static_cast<std::size_t>(c * size.nope + n)];
        set_row(ex, p.value, first + n, row.data());
      }
      for (index_t u = 0; u < size.value; ++u) {
        ggml_dequantize(row.data(), v, values + ggml_bytes(v, (h * size.value + u) * size.rank), size.rank);
        set_row(ex, p.value, first + size.nope + u, row.data());
      }
    });
  }

  GgufFile file_;
  ModelConfig config_;
  std::map<std::string, Source> sources_;
};

/// `num_rows` rows of `cols` values as `type`, to a sink; `get` gives row r, from any thread.
void put_rows(Exec& ex, const GgufSink& sink, GgmlType type, index_t num_rows, index_t cols,
              const std::function<void(index_t r, float* row)>& get) {
  constexpr index_t kRows = 256;
  const index_t row_bytes = ggml_bytes(type, cols);
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(kRows, num_rows) * row_bytes));
  for (index_t first = 0; first < num_rows; first += kRows) {
    const index_t count = std::min(kRows, num_rows - first);
    ex.pool.parallel_for(count, [&](index_t r, int) {
      std::vector<float> row(static_cast<std::size_t>(cols));
      get(first + r, row.data());
      ggml_quantize(bytes.data() + r * row_bytes, type, row.data(), cols);
    });
    sink({bytes.data(), static_cast<std::size_t>(count * row_bytes)});
  }
}

/// The rows of one parameter in the order of GGUF.
void put_param(Exec& ex, const GgufSink& sink, GgmlType type, const Param& p, const GgufPlace& place) {
  const bool moves = place.layout == Layout::kInterleaved;
  const View from = moves ? as_column(p) : p.value;
  const index_t half = moves ? from.rows / place.heads / 2 : 0;
  std::vector<index_t> order(static_cast<std::size_t>(from.rows));
  for (index_t r = 0; r < from.rows; ++r) order[static_cast<std::size_t>(moves ? interleaved_row(r, half) : r)] = r;
  put_rows(ex, sink, type, from.rows, from.cols,
           [&](index_t r, float* row) { get_row(row, from, order[static_cast<std::size_t>(r)]); });
}

void add_split(Exec& ex, std::vector<GgufTensorToWrite>& tensors, const Param& p, const std::string& prefix,
               const KvB& size, GgmlType key_type, GgmlType value_type) {
  tensors.push_back({prefix + "attn_k_b.weight",
                     key_type,
                     {size.nope, size.rank, size.heads},
                     [=, &ex](const GgufSink& sink) {  // row c of head h: column c of its part of kv_b_proj
                       put_rows(ex, sink, key_type, size.heads * size.rank, size.nope, [&](index_t r, float* row) {
                         const index_t first = r / size.rank * (size.nope + size.value), c = r % size.rank;
                         for (index_t n = 0; n < size.nope; ++n) get_row(row + n, p.value.slice_cols(c, 1), first + n);
                       });
                     }});
  tensors.push_back(
      {prefix + "attn_v_b.weight", value_type, {size.rank, size.value, size.heads}, [=, &ex](const GgufSink& sink) {
         put_rows(ex, sink, value_type, size.heads * size.value, size.rank, [&](index_t r, float* row) {
           const index_t first = r / size.value * (size.nope + size.value);
           get_row(row, p.value, first + size.nope + r % size.value);
         });
       }});
}

}  // namespace

std::unique_ptr<WeightSource> open_gguf_weights(const std::filesystem::path& path) {
  return std::make_unique<GgufSource>(path);
}

GgmlType fitting_type(GgmlType type, index_t cols) {
  if (cols % ggml_type_info(type).block_values == 0) return type;
  return cols % ggml_type_info(GgmlType::kQ8_0).block_values == 0 ? GgmlType::kQ8_0 : GgmlType::kF16;
}

void write_gguf_model(Exec& ex, const std::filesystem::path& path, Model& model, const TokenizerFiles* tokenizer,
                      const GgufTypes& type_of, GgufMla mla) {
  const ModelConfig& config = model.config();
  GgufPairs metadata = gguf_metadata(config, mla);
  metadata.emplace_back("general.quantization_version", GgufValue(std::uint32_t{2}));
  if (tokenizer != nullptr)
    for (auto& pair : gguf_tokenizer_metadata(*tokenizer, config.vocab_size)) metadata.push_back(std::move(pair));
  std::vector<GgufTensorToWrite> tensors;
  std::map<std::string, std::vector<Param>> stacks;  // the experts of one tensor
  const std::string mtp = str_cat("model.layers.", config.num_hidden_layers, ".");
  bool past_end = false;
  const std::vector<float> divisors = rope_divisors(config);
  if (!divisors.empty())
    tensors.push_back(
        gguf_tensor("rope_freqs.weight", GgmlType::kF32, {std::ssize(divisors)}, std::as_bytes(std::span(divisors))));
  model.visit_params([&](const Param& p) {
    past_end |= p.name.starts_with(mtp);  // MTP modules come last
    if (past_end) return;
    const GgufPlace place = gguf_place(config, p.name);
    const GgmlType asked = type_of(p);
    if (place.layout == Layout::kKvB && mla == GgufMla::kSplit) {
      const KvB size(config);
      const std::string prefix = place.tensor.substr(0, place.tensor.find("attn_kv_b"));
      return add_split(ex, tensors, p, prefix, size, fitting_type(asked, size.nope), fitting_type(asked, size.rank));
    }
    if (place.expert >= 0) {
      std::vector<Param>& stack = stacks[place.tensor];
      stack.push_back(p);
      if (static_cast<int>(stack.size()) < config.n_routed_experts) return;
      const GgmlType t = fitting_type(asked, p.value.cols);
      tensors.push_back({place.tensor,
                         t,
                         {p.value.cols, p.value.rows, config.n_routed_experts},
                         [&ex, stack, t](const GgufSink& sink) {
                           for (const Param& expert : stack) put_param(ex, sink, t, expert, {});
                         }});
      return;
    }
    const bool plain = p.is_vector || place.tensor.ends_with("ffn_gate_inp.weight");
    const GgmlType t = plain ? GgmlType::kF32 : fitting_type(asked, p.value.cols);
    const std::vector<index_t> dims =
        p.is_vector ? std::vector<index_t>{p.value.cols} : std::vector<index_t>{p.value.cols, p.value.rows};
    tensors.push_back(
        {place.tensor, t, dims, [&ex, p, t, place](const GgufSink& sink) { put_param(ex, sink, t, p, place); }});
  });
  gguf_write(path, metadata, tensors);
}

}  // namespace hadal
