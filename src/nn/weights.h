#pragma once
// A model's parameters from and to safetensors, under their Hugging Face names.
#include <filesystem>
#include <functional>

#include "formats/safetensors.h"
#include "nn/weight_source.h"

namespace hadal {

/// Fills every parameter from a folder (or a GGUF file: nn/gguf_weights.h) and converts it to the model's precision;
/// block-FP8 weights are multiplied by their scales. Throws Error that lists every missing tensor, every tensor the
/// model has no place for, and every wrong shape. Copies that checkpoints carry without need are accepted: the
/// embedding and head of MTP layers, the head of tied models, rotary_emb.inv_freq. Calls model.refresh().
/// new_head: the folder holds a language model, `model` has a scalar head: that stays as it is (zero), and what only a
/// language model needs is left out.
void load_weights(Model& model, Exec& ex, const std::filesystem::path& folder, bool new_head = false);

/// The value of one parameter from any float dtype: converted, or quantised in blocks of 128x128 where E4M3 is held.
void set_param(Exec& ex, const Param& p, ConstView from);

/// load_weights and Model::pack in one, tensor by tensor: the peak of memory is the packed model and what the threads
/// have in hand, one tensor each.
void load_packed(Model& model, Exec& ex, const std::filesystem::path& folder, const PackRecipe& recipe,
                 PackedPlaces* places = nullptr);

/// What a checkpoint of `model` holds: matrices in `dtype`, the router's correction bias in f32, MTP layers with their
/// copies of embedding and head. `source` gives the value to write (the f32 master copy, say); default: Param::value.
std::vector<TensorToWrite> weights_to_write(Model& model, DType dtype,
                                            const std::function<ConstView(const Param&)>& source = {});

/// A model folder: config.json and weights; with Precision::fp8_weights an FP8 checkpoint (codes and
/// weight_scale_inv; embedding, head, router and norms in `dtype`).
void save_model(Model& model, const std::filesystem::path& folder, DType dtype);

/// Config and weights of a folder in one call.
Model load_model(Exec& ex, const std::filesystem::path& folder, Precision precision, bool train);

}  // namespace hadal
