#include "data/chat_template/heap.h"

namespace hadal::jinja {

void Heap::set(Dict& dict, const Value& key, const Value& value) {
  step(1 + static_cast<std::int64_t>(dict.entries.size() / 8));
  for (auto& [k, v] : dict.entries)
    if (equal(k, key)) {
      v = value;
      return;
    }
  charge(2 * sizeof(Value));
  dict.entries.emplace_back(key, value);
}

Value Heap::from_json(const Json& json, Origin origin, int depth) {
  HADAL_CHECK(depth <= 100, "a value for the template is nested deeper than 100");
  switch (json.kind()) {
    case boost::json::kind::null:
      return Value::none();
    case boost::json::kind::bool_:
      return Value::boolean(json.get_bool());
    case boost::json::kind::int64:
      return Value::integer(json.get_int64());
    case boost::json::kind::uint64:
      return Value::floating(static_cast<double>(json.get_uint64()));
    case boost::json::kind::double_:
      return Value::floating(json.get_double());
    case boost::json::kind::string: {
      const auto& s = json.get_string();
      return string(std::string_view(s.data(), s.size()), origin);
    }
    case boost::json::kind::array: {
      std::vector<Value> items;
      charge(json.get_array().size() * sizeof(Value));
      for (const Json& item : json.get_array()) items.push_back(from_json(item, origin, depth + 1));
      return list(std::move(items), false, origin);
    }
    case boost::json::kind::object: {
      Dict result{.origin = origin};
      charge(json.get_object().size() * 2 * sizeof(Value));
      for (const auto& [key, item] : json.get_object())
        result.entries.emplace_back(string(std::string_view(key.data(), key.size()), origin),
                                    from_json(item, origin, depth + 1));
      return dict(std::move(result));
    }
  }
  return {};
}

}  // namespace hadal::jinja
