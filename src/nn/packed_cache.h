#pragma once
// A model's packed weights in a file, made once: later starts map it, or stream experts from it.
#include <filesystem>

#include "formats/packed_file.h"
#include "nn/expert_cache.h"
#include "nn/model.h"

namespace hadal {

/// What the file is made from and for: names, sizes and times of the model's files, form of the weights, instruction
/// set, and a fingerprint of the order in which its kernels read weights.
std::string packed_cache_key(Exec& ex, const std::filesystem::path& model, std::string_view weights,
                             const Precision& precision);

/// The file of packed weights in `folder` for the model at `source`; written first when there is none, or when the one
/// there is damaged or was made from something else (a log line says which). `model` has no values yet and keeps none.
PackedFile open_packed_cache(const std::filesystem::path& folder, Model& model, Exec& ex,
                             const std::filesystem::path& source, std::string_view weights, const PackRecipe& recipe);

/// What packing `model` by `recipe` gives, in the order of the file: parameters that stay as they are, then stacks of
/// packed matrices. Offsets and checksums are not set.
std::vector<PackedEntry> packed_entries(Model& model, Exec& ex, const PackRecipe& recipe);
/// Whether an entry of that name holds routed experts.
bool holds_routed_experts(std::string_view name);

/// Packs `model` with the weights where they lie in the mapped file, which must outlive it.
void use_mapped(Model& model, Exec& ex, PackedFile& file, const PackRecipe& recipe);
/// Packs `model` with weights that are read into memory, but for the routed experts, which the result lists by layer
/// (Model::stream_experts). After this the file may change without harm to the process.
std::vector<ExpertCache::Layer> use_streamed(Model& model, Exec& ex, const PackedFile& file, const PackRecipe& recipe);

}  // namespace hadal
