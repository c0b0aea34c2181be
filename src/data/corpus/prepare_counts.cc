#include "data/corpus/prepare_counts.h"

#include <algorithm>

#include "base/utf8.h"

namespace hadal {

std::string excerpt(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return replace_ill_formed(text);
  const std::string_view begin = text.substr(0, max_bytes);
  return replace_ill_formed(begin.substr(0, begin.size() - incomplete_suffix(begin))) + " ...";
}

StageCount& PrepareCounts::stage(std::string_view name) {
  const auto found = std::find_if(stages_.begin(), stages_.end(), [&](const auto& s) { return s.first == name; });
  return found != stages_.end() ? found->second : stages_.emplace_back(std::string(name), StageCount{}).second;
}

void PrepareCounts::drop(const std::string& filter, const std::string& where, const std::string& detail,
                         std::string_view text, int max_samples) {
  FilterCount& count = filters_[filter];
  ++count.documents;
  count.bytes += static_cast<std::int64_t>(text.size());
  if (static_cast<int>(count.samples.size()) < max_samples)
    count.samples.push_back(JsonObject{{"where", where}, {"detail", excerpt(detail)}, {"text", excerpt(text)}});
}

std::int64_t PrepareCounts::number(const std::string& name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? 0 : found->second;
}

std::int64_t PrepareCounts::num_dropped() const {
  std::int64_t sum = 0;
  for (const auto& [name, count] : filters_) sum += count.documents;
  return sum;
}

void PrepareCounts::merge(const PrepareCounts& later, int max_samples) {
  for (const auto& [name, other] : later.stages_) {
    StageCount& s = stage(name);
    s.documents_in += other.documents_in;
    s.documents_out += other.documents_out;
    s.bytes_in += other.bytes_in;
    s.bytes_out += other.bytes_out;
    s.seconds += other.seconds;
  }
  for (const auto& [name, other] : later.filters_) {
    FilterCount& f = filters_[name];
    f.documents += other.documents;
    f.bytes += other.bytes;
    for (const Json& sample : other.samples)
      if (static_cast<int>(f.samples.size()) < max_samples) f.samples.push_back(sample);
  }
  for (const auto& [name, n] : later.numbers_) numbers_[name] += n;
}

Json PrepareCounts::to_json() const {
  JsonObject stages, filters, numbers;
  for (const auto& [name, s] : stages_)
    stages[name] = JsonObject{{"documents_in", s.documents_in},
                              {"documents_out", s.documents_out},
                              {"bytes_in", s.bytes_in},
                              {"bytes_out", s.bytes_out},
                              {"seconds", s.seconds}};
  for (const auto& [name, f] : filters_)
    filters[name] = JsonObject{{"documents", f.documents}, {"bytes", f.bytes}, {"samples", f.samples}};
  for (const auto& [name, n] : numbers_) numbers[name] = n;
  return JsonObject{{"stages", stages}, {"filters", filters}, {"numbers", numbers}};
}

PrepareCounts PrepareCounts::from_json(const Json& json, std::string_view where) {
  PrepareCounts counts;
  ObjectReader reader(json, where);
  const auto object_at = [&](const char* key) -> const JsonObject& {
    if (!reader.value(key).is_object()) reader.reject(key, "an object");
    return reader.value(key).get_object();
  };
  for (const auto& [name, value] : object_at("stages")) {
    ObjectReader s(value, where, "stages");
    counts.stage(name) = {s.get<std::int64_t>("documents_in"), s.get<std::int64_t>("documents_out"),
                          s.get<std::int64_t>("bytes_in"), s.get<std::int64_t>("bytes_out"), s.get<double>("seconds")};
  }
  for (const auto& [name, value] : object_at("filters")) {
    ObjectReader f(value, where, "filters");
    const Json& samples = f.value("samples");
    if (!samples.is_array()) f.reject("samples", "an array");
    counts.filters_[name] = {f.get<std::int64_t>("documents"), f.get<std::int64_t>("bytes"), samples.get_array()};
  }
  for (const auto& [name, value] : object_at("numbers")) counts.numbers_[name] = json_as<std::int64_t>(value, where);
  return counts;
}

}  // namespace hadal
