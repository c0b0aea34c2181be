// What a trainer writes beside the model's weights, and reads back.
#include "base/file.h"
#include "formats/safetensors.h"
#include "tensor/copy.h"
#include "train/trainer.h"

namespace hadal {
namespace {

constexpr std::int64_t kStateVersion = 2;

/// Calls visit(name, view) for every tensor of the state.
template <class Visit>
void visit_state(Model& model, Optimizer& optimizer, Ema* ema, Visit&& visit) {
  std::size_t i = 0;
  for (const Optimizer::State& s : optimizer.states()) {
    visit("value." + s.param.name, s.param.value);
    if (!s.rest.empty()) visit("rest." + s.param.name, s.rest);
    visit("first_moment." + s.param.name, s.first_moment);
    visit("second_moment." + s.param.name, s.second_moment);
    if (ema != nullptr) visit("ema." + s.param.name, ema->averages()[i].view());
    ++i;
  }
  model.visit_params([&](const Param& p) {
    if (!p.trainable) visit("fixed." + p.name, p.value);
  });
}

}  // namespace

void Trainer::save(const std::filesystem::path& folder) {
  if (ema_) ema_->wait();
  std::vector<TensorToWrite> tensors;
  visit_state(model_, optimizer_, ema(),
              [&](std::string name, View v) { tensors.push_back({std::move(name), v.dtype, {v.rows, v.cols}, v}); });
  write_safetensors(folder / "trainer_state.safetensors", std::move(tensors));
  const JsonObject state{{"version", kStateVersion}, {"step", position_.step}, {"tokens", position_.tokens},
                         {"sequences", sequences_},  {"updates", updates_},    {"guard", guard_.state()}};
  write_file_atomically(folder / "trainer_state.json", json_pretty(state));
}

void Trainer::load(const std::filesystem::path& folder, bool keep_place) {
  if (ema_) ema_->wait();
  const SafetensorsFile file(folder / "trainer_state.safetensors");
  std::size_t used = 0;
  visit_state(model_, optimizer_, ema(), [&](const std::string& name, View v) {
    const auto found = file.tensors().find(name);
    HADAL_CHECK(found != file.tensors().end(), folder.string(), ": trainer_state.safetensors has no ", name);
    const StoredTensor& stored = found->second;
    HADAL_CHECK(stored.dtype == v.dtype && stored.shape == std::vector<index_t>({v.rows, v.cols}), folder.string(),
                ": ", name, " is ", dtype_name(stored.dtype), " with ", stored.count(), " values, want ",
                dtype_name(v.dtype), " with ", v.count());
    copy_rows(v, stored.view());
    ++used;
  });
  HADAL_CHECK(used == file.tensors().size(), folder.string(), ": trainer_state.safetensors holds ",
              file.tensors().size(), " tensors, ", used, " of them have a place (did ema_decay change?)");
  if (ema_) ema_->mark_loaded();
  optimizer_.changed(exec_);
  optimizer_.zero_grad(exec_);

  const std::filesystem::path path = folder / "trainer_state.json";
  const Json json = read_json_file(path);
  ObjectReader reader(json, path.string());
  const auto version = reader.get<std::int64_t>("version");
  HADAL_CHECK(version == kStateVersion, path.string(), ": version ", version, ", want ", kStateVersion);
  const RunPosition position{reader.get<std::int64_t>("step"), reader.get<std::int64_t>("tokens")};
  const auto sequences = reader.get<std::int64_t>("sequences");
  updates_ = reader.get<std::int64_t>("updates");
  const Json& guard = reader.value("guard");
  HADAL_CHECK(guard.is_object(), path.string(), ": guard is no object");
  reader.finish();
  if (keep_place) {
    guard_.restore_after_rollback(guard.as_object());
    return;
  }
  guard_.restore(guard.as_object());
  position_ = position, sequences_ = sequences;
}

std::int64_t Trainer::state_bytes() const {
  return optimizer_.bytes() + model_.num_parameters() * (ema_ ? 8 : 4);
}

}  // namespace hadal
