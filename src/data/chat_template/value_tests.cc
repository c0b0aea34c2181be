// value is name(args)
#include <cmath>
#include <map>

#include "data/chat_template/builtins.h"
#include "data/chat_template/string_ops.h"

namespace hadal::jinja {
namespace {

using Test = bool (*)(Runtime&, const Value&, const CallArgs&);

const Value& other(const CallArgs& args) {
  HADAL_CHECK(args.positional.size() == 1 && args.keywords.empty(), "the test wants one argument, got ",
              args.positional.size() + args.keywords.size());
  return args.positional[0];
}

int order(const Value& a, const CallArgs& args) {
  const std::optional<int> result = compare(a, other(args));
  HADAL_CHECK(result.has_value(), "values of type ", kind_name(a), " and ", kind_name(other(args)), " have no order");
  return *result;
}

/// What is left of v / by, with the sign of v.
double remainder(const Value& v, const Value& by) {
  HADAL_CHECK(v.is_number() && by.is_number(), "the test wants numbers, got values of type ", kind_name(v), " and ",
              kind_name(by));
  HADAL_CHECK(by.as_float() != 0, "the test divides by zero");
  if (!v.is_integer() || !by.is_integer()) return std::fmod(v.as_float(), by.as_float());
  return by.as_int() == -1 ? 0 : static_cast<double>(v.as_int() % by.as_int());
}

template <Kind... kKinds>
bool is_one_of(Runtime&, const Value& v, const CallArgs&) {
  return (v.is(kKinds) || ...);
}

template <int kLow, int kHigh>
bool ordered(Runtime&, const Value& v, const CallArgs& args) {
  const int sign = order(v, args);
  return sign >= kLow && sign <= kHigh;
}

bool equals(Runtime&, const Value& v, const CallArgs& args) {
  return equal(v, other(args));
}
bool differs(Runtime&, const Value& v, const CallArgs& args) {
  return !equal(v, other(args));
}

const std::map<std::string_view, Test>& tests() {
  static const std::map<std::string_view, Test> kTable = {
      {"defined", [](Runtime&, const Value& v, const CallArgs&) { return !v.is(Kind::kUndefined); }},
      {"undefined", is_one_of<Kind::kUndefined>},
      {"none", is_one_of<Kind::kNone>},
      {"boolean", is_one_of<Kind::kBool>},
      {"integer", is_one_of<Kind::kInt>},
      {"float", is_one_of<Kind::kFloat>},
      {"number", is_one_of<Kind::kBool, Kind::kInt, Kind::kFloat>},
      {"string", is_one_of<Kind::kString>},
      {"mapping", is_one_of<Kind::kDict>},
      {"sequence", is_one_of<Kind::kString, Kind::kList, Kind::kDict, Kind::kUndefined>},
      {"iterable", is_one_of<Kind::kString, Kind::kList, Kind::kDict, Kind::kUndefined>},
      {"callable", is_one_of<Kind::kFunction>},
      {"true", [](Runtime&, const Value& v, const CallArgs&) { return v.is(Kind::kBool) && v.as_int() != 0; }},
      {"false", [](Runtime&, const Value& v, const CallArgs&) { return v.is(Kind::kBool) && v.as_int() == 0; }},
      {"odd", [](Runtime&, const Value& v, const CallArgs&) { return std::abs(remainder(v, Value::integer(2))) == 1; }},
      {"even", [](Runtime&, const Value& v, const CallArgs&) { return remainder(v, Value::integer(2)) == 0; }},
      {"divisibleby", [](Runtime&, const Value& v, const CallArgs& args) { return remainder(v, other(args)) == 0; }},
      {"lower", [](Runtime&, const Value& v,
                   const CallArgs&) { return all_of_class(to_text(v).view(), CharacterClass::kLower); }},
      {"upper", [](Runtime&, const Value& v,
                   const CallArgs&) { return all_of_class(to_text(v).view(), CharacterClass::kUpper); }},
      {"in", [](Runtime& rt, const Value& v, const CallArgs& args) { return contains(rt, other(args), v); }},
      {"sameas", [](Runtime&, const Value& v, const CallArgs& args) { return v.same(other(args)); }},
      {"equalto", equals},
      {"eq", equals},
      {"==", equals},
      {"ne", differs},
      {"!=", differs},
      {"lt", ordered<-1, -1>},
      {"lessthan", ordered<-1, -1>},
      {"<", ordered<-1, -1>},
      {"le", ordered<-1, 0>},
      {"<=", ordered<-1, 0>},
      {"gt", ordered<1, 1>},
      {"greaterthan", ordered<1, 1>},
      {">", ordered<1, 1>},
      {"ge", ordered<0, 1>},
      {">=", ordered<0, 1>},
  };
  return kTable;
}

}  // namespace

bool apply_test(Runtime& rt, std::string_view name, const Value& value, const CallArgs& args) {
  const auto found = tests().find(name);
  HADAL_CHECK(found != tests().end(), "there is no test \"", name, "\"");
  rt.heap.step();
  return found->second(rt, value, args);
}

}  // namespace hadal::jinja
