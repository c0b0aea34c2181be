#pragma once
// What one rendering may use: steps, bytes, and who owns the values that it makes.
#include <deque>

#include "data/chat_template/value.h"

namespace hadal::jinja {

/// Templates come with models and values from users: both are bounded.
struct RenderLimits {
  std::int64_t max_steps = 20'000'000;
  std::int64_t max_heap_bytes = std::int64_t{512} << 20;   // all values ever made, together
  std::int64_t max_output_bytes = std::int64_t{64} << 20;  // of the rendered text
};

class Heap {
 public:
  explicit Heap(const RenderLimits& limits) : limits_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// Counts work. Throws Error when there was too much of it.
  void step(std::int64_t count = 1) {
    steps_ += count;
    HADAL_CHECK(steps_ <= limits_.max_steps, "the template does more than ", limits_.max_steps, " steps");
  }
  /// Counts bytes before they are allocated. Throws Error when it is too many.
  void charge(std::size_t bytes) {
    HADAL_CHECK(static_cast<std::int64_t>(bytes) <= limits_.max_heap_bytes - used_, "the template needs more than ",
                limits_.max_heap_bytes, " bytes for its values");
    used_ += static_cast<std::int64_t>(bytes);
    step(1 + static_cast<std::int64_t>(bytes / 256));
  }

  Value string(Text text) {
    charge(text.size() + sizeof(Text));
    return Value(&texts_.emplace_back(std::move(text)));
  }
  Value string(std::string_view bytes, Origin origin = kTemplateOrigin) {
    return string(Text(std::string(bytes), origin));
  }
  Value list(std::vector<Value> items = {}, bool tuple = false, Origin origin = kTemplateOrigin) {
    charge(items.size() * sizeof(Value) + sizeof(List));
    return Value(&lists_.emplace_back(List{std::move(items), origin, tuple}));
  }
  Value dict(Dict dict = {}, Kind kind = Kind::kDict) {
    charge(dict.entries.size() * 2 * sizeof(Value) + sizeof(Dict));
    return Value(&dicts_.emplace_back(std::move(dict)), kind);
  }
  /// Sets or adds an entry.
  void set(Dict& dict, const Value& key, const Value& value);
  void set(Dict& dict, std::string_view key, const Value& value) { set(dict, string(key), value); }
  /// A JSON value; its strings, lists and objects have this origin.
  Value from_json(const Json& json, Origin origin, int depth = 0);

  const RenderLimits& limits() const { return limits_; }

 private:
  RenderLimits limits_;
  std::int64_t steps_ = 0, used_ = 0;
  std::deque<Text> texts_;
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
};

}  // namespace hadal::jinja
