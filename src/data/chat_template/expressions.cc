#include <cmath>

#include "data/chat_template/evaluator.h"
#include "data/chat_template/string_ops.h"

namespace hadal::jinja {

Value Evaluator::eval(const Expr& e, Scope& scope) {
  const Nesting nesting(*this);
  heap_.step();
  switch (e.kind) {
    case ExprKind::kString:
    case ExprKind::kInt:
    case ExprKind::kFloat:
    case ExprKind::kBool:
    case ExprKind::kNone:
      return eval_constant(e);
    case ExprKind::kName:
      return eval_name(e, scope);
    case ExprKind::kList:
    case ExprKind::kTuple:
    case ExprKind::kDict:
      return eval_collection(e, scope);
    case ExprKind::kAttribute:
      return eval_attribute(e, scope);
    case ExprKind::kItem:
      return eval_item(e, scope);
    case ExprKind::kSlice:
      return eval_slice(e, scope);
    case ExprKind::kCall: {
      const Value callee = eval(*e.args[0], scope);
      return call(callee, eval_args(e, scope));
    }
    case ExprKind::kFilter: {
      const Value value = eval(*e.args[0], scope);
      return apply_filter(rt_, e.text, value, eval_args(e, scope));
    }
    case ExprKind::kTest: {
      const Value value = eval(*e.args[0], scope);
      return Value::boolean(apply_test(rt_, e.text, value, eval_args(e, scope)));
    }
    case ExprKind::kNot:
      return Value::boolean(!truth(eval(*e.args[0], scope)));
    case ExprKind::kMinus:
    case ExprKind::kPlus:
      return eval_sign(e, scope);
    case ExprKind::kAnd: {
      const Value left = eval(*e.args[0], scope);
      return truth(left) ? eval(*e.args[1], scope) : left;
    }
    case ExprKind::kOr: {
      const Value left = eval(*e.args[0], scope);
      return truth(left) ? left : eval(*e.args[1], scope);
    }
    case ExprKind::kBinary:
      return eval_binary(e, scope);
    case ExprKind::kConcat:
      return eval_concat(e, scope);
    case ExprKind::kCompare:
      return eval_compare(e, scope);
    case ExprKind::kCondition:
      if (truth(eval(*e.args[1], scope))) return eval(*e.args[0], scope);
      return e.args[2] == nullptr ? Value() : eval(*e.args[2], scope);
  }
  return {};
}

Value Evaluator::eval_constant(const Expr& e) {
  switch (e.kind) {
    case ExprKind::kString:
      return heap_.string(e.text);
    case ExprKind::kInt:
      return Value::integer(e.integer);
    case ExprKind::kFloat:
      return Value::floating(e.number);
    case ExprKind::kBool:
      return Value::boolean(e.integer != 0);
    default:
      return Value::none();
  }
}

Value Evaluator::eval_name(const Expr& e, Scope& scope) {
  for (const Scope* s = &scope; s != nullptr; s = s->parent)
    for (const auto& [name, value] : s->variables)
      if (name == e.text) return value;
  if (is_global_function(e.text)) return function({.what = Function::What::kGlobal, .name = e.text});
  return Value::undefined(&e.text);
}

Value Evaluator::eval_collection(const Expr& e, Scope& scope) {
  if (e.kind == ExprKind::kDict) {
    const Value made = heap_.dict();
    for (std::size_t i = 0; i + 1 < e.args.size(); i += 2) {
      const Value key = eval(*e.args[i], scope);
      HADAL_CHECK(!key.is(Kind::kList) && !key.is(Kind::kDict), "a ", kind_name(key), " cannot be the key of a dict");
      heap_.set(made.dict(), key, eval(*e.args[i + 1], scope));
    }
    return made;
  }
  std::vector<Value> items;
  for (const Expr* item : e.args) items.push_back(eval(*item, scope));
  return heap_.list(std::move(items), e.kind == ExprKind::kTuple);
}

/// a.b: a method of that name, or else the item.
Value Evaluator::eval_attribute(const Expr& e, Scope& scope) {
  const Value object = eval(*e.args[0], scope);
  if (has_method(object, e.text)) return function({.what = Function::What::kMethod, .name = e.text, .self = object});
  if (object.is(Kind::kUndefined)) get_item(rt_, object, {});  // throws
  if (!object.is(Kind::kDict) && !object.is(Kind::kNamespace)) return Value::undefined(&e.text);
  heap_.step(1 + static_cast<std::int64_t>(object.dict().entries.size() / 8));
  const Value* found = object.dict().find(e.text);
  return found == nullptr ? Value::undefined(&e.text) : *found;
}

/// a[b]: the item, or else the method of that name.
Value Evaluator::eval_item(const Expr& e, Scope& scope) {
  const Value object = eval(*e.args[0], scope), key = eval(*e.args[1], scope);
  const Value found = get_item(rt_, object, key);
  if (!found.is(Kind::kUndefined) || !key.is(Kind::kString)) return found;
  if (has_method(object, key.text().view()))
    return function({.what = Function::What::kMethod, .name = key.text().view(), .self = object});
  return Value::undefined(e.args[1]->kind == ExprKind::kString ? &e.args[1]->text : nullptr);
}

Value Evaluator::eval_slice(const Expr& e, Scope& scope) {
  const Value object = eval(*e.args[0], scope);
  std::optional<std::int64_t> parts[3];
  for (std::size_t i = 0; i < 3; ++i) {
    if (e.args[i + 1] == nullptr) continue;
    const Value part = eval(*e.args[i + 1], scope);
    if (part.is(Kind::kNone)) continue;
    HADAL_CHECK(part.is_integer(), "a slice has a part of type ", kind_name(part), ", want an integer");
    parts[i] = part.as_int();
  }
  const std::int64_t step = parts[2].value_or(1);
  HADAL_CHECK(step != 0, "the step of a slice is 0");
  if (object.is(Kind::kUndefined)) get_item(rt_, object, {});  // throws
  if (object.is(Kind::kString)) {
    heap_.charge(object.text().size() * sizeof(std::size_t));
    return heap_.string(slice(object.text(), parts[0], parts[1], step));
  }
  if (!object.is(Kind::kList)) return {};
  const List& list = object.list();
  std::vector<Value> items;
  for (const std::size_t i : slice_indexes(list.items.size(), parts[0], parts[1], step)) items.push_back(list.items[i]);
  return heap_.list(std::move(items), list.tuple, list.origin);
}

Value Evaluator::eval_sign(const Expr& e, Scope& scope) {
  const Value v = eval(*e.args[0], scope);
  HADAL_CHECK(v.is_number(), "a value of type ", kind_name(v), " has no sign");
  if (v.is(Kind::kFloat)) return Value::floating(e.kind == ExprKind::kMinus ? -v.as_float() : v.as_float());
  return e.kind == ExprKind::kMinus ? integer_arithmetic(0, v.as_int(), "-") : Value::integer(v.as_int());
}

Value Evaluator::eval_binary(const Expr& e, Scope& scope) {
  const Value a = eval(*e.args[0], scope), b = eval(*e.args[1], scope);
  for (const Value& v : {a, b})
    if (v.is(Kind::kUndefined)) get_item(rt_, v, {});  // throws
  if (e.text == "+" && a.is(Kind::kString) && b.is(Kind::kString)) {
    heap_.charge(a.text().size() + b.text().size());
    Text text = a.text();
    text.append(b.text());
    return heap_.string(std::move(text));
  }
  if (e.text == "+" && a.is(Kind::kList) && b.is(Kind::kList) && a.list().tuple == b.list().tuple) {
    heap_.charge((a.list().items.size() + b.list().items.size()) * sizeof(Value));
    std::vector<Value> items = a.list().items;
    items.insert(items.end(), b.list().items.begin(), b.list().items.end());
    return heap_.list(std::move(items), a.list().tuple, std::max(a.list().origin, b.list().origin));
  }
  if (e.text == "*" && b.is_integer() && !a.is_number()) return repeat(a, b.as_int());
  if (e.text == "*" && a.is_integer() && !b.is_number()) return repeat(b, a.as_int());
  return arithmetic(a, b, e.text);
}

Value Evaluator::repeat(const Value& what, std::int64_t times) {
  HADAL_CHECK(what.is(Kind::kString) || what.is(Kind::kList), "*: a value of type ", kind_name(what),
              " cannot be repeated");
  times = std::max<std::int64_t>(times, 0);
  const std::size_t size = what.is(Kind::kString) ? what.text().size() : what.list().items.size() * sizeof(Value);
  if (size > 0)
    HADAL_CHECK(times <= heap_.limits().max_heap_bytes / static_cast<std::int64_t>(size), "*: too much text");
  heap_.charge(size * static_cast<std::size_t>(size > 0 ? times : 0));
  if (size == 0) times = 0;
  if (what.is(Kind::kString)) {
    Text text;
    for (std::int64_t i = 0; i < times; ++i) text.append(what.text());
    return heap_.string(std::move(text));
  }
  std::vector<Value> items;
  for (std::int64_t i = 0; i < times; ++i)
    items.insert(items.end(), what.list().items.begin(), what.list().items.end());
  return heap_.list(std::move(items), what.list().tuple, what.list().origin);
}

Value Evaluator::arithmetic(const Value& a, const Value& b, std::string_view sign) {
  HADAL_CHECK(a.is_number() && b.is_number(), sign, ": values of type ", kind_name(a), " and ", kind_name(b),
              " do not fit together");
  const double x = a.as_float(), y = b.as_float();
  const bool integers = a.is_integer() && b.is_integer();
  if (sign == "/" || sign == "//" || sign == "%") HADAL_CHECK(y != 0, sign, ": division by zero");
  if (sign == "/") return Value::floating(x / y);
  if (integers && (sign != "**" || b.as_int() >= 0)) return integer_arithmetic(a.as_int(), b.as_int(), sign);
  if (sign == "+") return Value::floating(x + y);
  if (sign == "-") return Value::floating(x - y);
  if (sign == "*") return Value::floating(x * y);
  if (sign == "//") return Value::floating(std::floor(x / y));
  if (sign == "%") {
    const double rest = std::fmod(x, y);
    return Value::floating(rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest);
  }
  return Value::floating(std::pow(x, y));
}

Value Evaluator::integer_arithmetic(std::int64_t a, std::int64_t b, std::string_view sign) {
  std::int64_t result = 0;
  bool overflow = false;
  if (sign == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (sign == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (sign == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (sign == "//" || sign == "%") {  // rounded down, as Python does
    if (b == -1) {
      overflow = sign == "//" && __builtin_sub_overflow(std::int64_t{0}, a, &result);
    } else {
      const std::int64_t rest = a % b, down = rest != 0 && (rest < 0) != (b < 0) ? 1 : 0;
      result = sign == "//" ? a / b - down : rest + down * b;
    }
  } else {
    result = 1;
    for (std::int64_t i = 0; i < b && !overflow && result != 0 && a != 1; ++i) {
      heap_.step();
      overflow = __builtin_mul_overflow(result, a, &result);
    }
  }
  HADAL_CHECK(!overflow, a, " ", sign, " ", b, ": integer overflow");
  return Value::integer(result);
}

Value Evaluator::eval_concat(const Expr& e, Scope& scope) {
  Text text;
  for (const Expr* part : e.args) {
    const Text more = to_text(eval(*part, scope));
    heap_.charge(more.size());
    text.append(more);
  }
  return heap_.string(std::move(text));
}

Value Evaluator::eval_compare(const Expr& e, Scope& scope) {
  Value left = eval(*e.args[0], scope);
  for (std::size_t i = 0; i < e.operators.size(); ++i) {
    const Value right = eval(*e.args[i + 1], scope);
    const std::string& op = e.operators[i];
    bool holds = false;
    if (op == "==" || op == "!=") {
      holds = equal(left, right) == (op == "==");
    } else if (op == "in" || op == "not in") {
      holds = contains(rt_, right, left) == (op == "in");
    } else {
      for (const Value& v : {left, right})
        if (v.is(Kind::kUndefined)) get_item(rt_, v, {});  // throws
      const std::optional<int> order = compare(left, right);
      HADAL_CHECK(order.has_value(), op, ": values of type ", kind_name(left), " and ", kind_name(right),
                  " have no order");
      holds = op == "<" ? *order < 0 : op == "<=" ? *order <= 0 : op == ">" ? *order > 0 : *order >= 0;
    }
    if (!holds) return Value::boolean(false);
    left = right;
  }
  return Value::boolean(true);
}

CallArgs Evaluator::eval_args(const Expr& e, Scope& scope) {
  CallArgs args;
  for (std::size_t i = 1; i < e.args.size(); ++i) args.positional.push_back(eval(*e.args[i], scope));
  for (const auto& [name, value] : e.keywords) args.keywords.emplace_back(name, eval(*value, scope));
  return args;
}

}  // namespace hadal::jinja
