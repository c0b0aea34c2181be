#pragma once
// What each stage of data prepare got and gave, what each filter dropped, with samples.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace hadal {

struct StageCount {
  std::int64_t documents_in = 0, documents_out = 0, bytes_in = 0, bytes_out = 0;
  double seconds = 0;  // processor time of all threads together
};

struct FilterCount {
  std::int64_t documents = 0, bytes = 0;
  JsonArray samples;  // {"where", "detail", "text"}
};

/// Counts of a part of the corpus; parts add up, in order, to the same whatever the parts are.
class PrepareCounts {
 public:
  /// Stages keep the order in which they are first named.
  StageCount& stage(std::string_view name);
  /// A document that a filter dropped. Of the first `max_samples` a sample is kept, an excerpt of text.
  void drop(const std::string& filter, const std::string& where, const std::string& detail, std::string_view text,
            int max_samples);
  /// A number of its own name: "masked.emails", "language.en".
  void add(const std::string& name, std::int64_t n) { numbers_[name] += n; }
  std::int64_t number(const std::string& name) const;
  std::int64_t num_dropped() const;

  void merge(const PrepareCounts& later, int max_samples);

  const std::vector<std::pair<std::string, StageCount>>& stages() const { return stages_; }
  const std::map<std::string, FilterCount>& filters() const { return filters_; }
  const std::map<std::string, std::int64_t>& numbers() const { return numbers_; }

  Json to_json() const;
  /// What to_json gave. Throws Error on anything else.
  static PrepareCounts from_json(const Json& json, std::string_view where);

 private:
  std::vector<std::pair<std::string, StageCount>> stages_;
  std::map<std::string, FilterCount> filters_;
  std::map<std::string, std::int64_t> numbers_;
};

/// The first `max_bytes` of a text, between characters.
std::string excerpt(std::string_view text, std::size_t max_bytes = 400);

}  // namespace hadal
