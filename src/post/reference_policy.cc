#include "post/reference_policy.h"

#include "tensor/copy.h"

namespace hadal {

ReferencePolicy::ReferencePolicy(Exec& exec, Model& policy)
    : exec_(exec), model_(policy.config(), policy.precision(), /*train=*/false) {
  refresh(policy);
}

void ReferencePolicy::refresh(Model& policy) {
  std::vector<View> from;
  policy.visit_params([&](const Param& p) { from.push_back(p.value); });
  std::size_t i = 0;
  model_.visit_params([&](const Param& p) { copy_rows(p.value, from.at(i++)); });
  model_.refresh(exec_);
}

NamedViews ReferencePolicy::state() {
  NamedViews views;
  model_.visit_params([&](const Param& p) { views.emplace_back(p.name, p.value); });
  return views;
}

void ReferencePolicy::load(const std::filesystem::path& file) {
  read_views(file, state());
  model_.refresh(exec_);
}

}  // namespace hadal
