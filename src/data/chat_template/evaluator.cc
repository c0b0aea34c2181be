#include "data/chat_template/evaluator.h"

namespace hadal::jinja {

RenderResult Evaluator::run() {
  RenderResult result;
  out_ = &result.text;
  main_out_ = out_;
  try {
    exec(ast_.body, inner(globals_));
  } catch (const Error& e) {  // built-in functions do not know where they are called
    fail(where_, ":", line_, ": ", e.what());
  }
  result.generation = std::move(generation_);
  return result;
}

Scope& Evaluator::inner(Scope& parent) {
  heap_.charge(sizeof(Scope));
  return scopes_.emplace_back(Scope{.parent = &parent});
}

Evaluator::Flow Evaluator::exec(const Body& body, Scope& scope) {
  const Nesting nesting(*this);
  for (const Stmt* s : body)
    if (const Flow flow = exec(*s, scope); flow != Flow::kNext) return flow;
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec(const Stmt& s, Scope& scope) {
  line_ = s.line;
  heap_.step();
  switch (s.kind) {
    case StmtKind::kText:
      print(Text(s.text));
      break;
    case StmtKind::kPrint:
      print(to_text(eval(*s.value, scope)));
      break;
    case StmtKind::kIf:
      return exec_if(s, scope);
    case StmtKind::kFor:
      return exec_for(s, scope);
    case StmtKind::kSet:
      assign(*s.target, eval(*s.value, scope), scope);
      break;
    case StmtKind::kSetBlock:
      assign(*s.target, through_filters(s.filters, heap_.string(capture(s.branches[0].second, inner(scope))), scope),
             scope);
      break;
    case StmtKind::kMacro:
      scope.set(s.text, function({.what = Function::What::kMacro, .name = s.text, .macro = &s, .scope = &scope}));
      break;
    case StmtKind::kFilter:
      print(to_text(through_filters(s.filters, heap_.string(capture(s.branches[0].second, inner(scope))), scope)));
      break;
    case StmtKind::kWith: {
      Scope& variables = inner(scope);
      for (const auto& [name, value] : s.parameters) variables.set(name, eval(*value, scope));
      return exec(s.branches[0].second, variables);
    }
    case StmtKind::kGeneration:
      exec_generation(s, scope);
      break;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec_if(const Stmt& s, Scope& scope) {
  for (const auto& [condition, body] : s.branches)
    if (condition == nullptr || truth(eval(*condition, scope))) return exec(body, scope);
  return Flow::kNext;
}

Evaluator::Flow Evaluator::exec_for(const Stmt& s, Scope& scope) {
  std::vector<Value> items = items_of(rt_, eval(*s.value, scope));
  if (s.condition != nullptr) {
    std::vector<Value> kept;
    for (const Value& item : items) {
      Scope& variables = inner(scope);
      assign(*s.target, item, variables);
      if (truth(eval(*s.condition, variables))) kept.push_back(item);
    }
    items = std::move(kept);
  }
  if (items.empty()) return s.branches.size() > 1 ? exec(s.branches[1].second, scope) : Flow::kNext;
  const Value loop = make_loop(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto count = static_cast<std::int64_t>(items.size()), index = static_cast<std::int64_t>(i);
    Dict& attributes = loop.dict();
    // In the order of make_loop.
    attributes.entries[0].second = Value::integer(index + 1);
    attributes.entries[1].second = Value::integer(index);
    attributes.entries[2].second = Value::integer(count - index);
    attributes.entries[3].second = Value::integer(count - index - 1);
    attributes.entries[4].second = Value::boolean(i == 0);
    attributes.entries[5].second = Value::boolean(i + 1 == items.size());
    attributes.entries[6].second = i > 0 ? items[i - 1] : Value();
    attributes.entries[7].second = i + 1 < items.size() ? items[i + 1] : Value();
    Scope& variables = inner(scope);
    variables.set("loop", loop);
    assign(*s.target, items[i], variables);
    if (exec(s.branches[0].second, variables) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Value Evaluator::make_loop(std::size_t count) {
  const Value loop = heap_.dict({}, Kind::kNamespace);
  for (const std::string_view name :
       {"index", "index0", "revindex", "revindex0", "first", "last", "previtem", "nextitem"})
    heap_.set(loop.dict(), name, Value());
  heap_.set(loop.dict(), "length", Value::integer(static_cast<std::int64_t>(count)));
  heap_.set(loop.dict(), "depth", Value::integer(1));
  heap_.set(loop.dict(), "depth0", Value::integer(0));
  heap_.set(loop.dict(), "cycle", function({.what = Function::What::kCycle, .name = "cycle", .self = loop}));
  heap_.set(loop.dict(), "changed", function({.what = Function::What::kChanged, .name = "changed", .self = loop}));
  return loop;
}

void Evaluator::exec_generation(const Stmt& s, Scope& scope) {
  const std::size_t begin = out_->size();
  exec(s.branches[0].second, inner(scope));
  if (out_ == main_out_ && out_->size() > begin) generation_.emplace_back(begin, out_->size());
}

void Evaluator::print(const Text& text) {
  HADAL_CHECK(static_cast<std::int64_t>(text.size()) <=
                  heap_.limits().max_output_bytes - static_cast<std::int64_t>(out_->size()),
              "the text is longer than ", heap_.limits().max_output_bytes, " bytes");
  heap_.step(1 + static_cast<std::int64_t>(text.size() / 256));
  out_->append(text);
}

Text Evaluator::capture(const Body& body, Scope& scope) {
  Text text;
  Text* const outer = std::exchange(out_, &text);
  exec(body, scope);
  out_ = outer;
  return text;
}

Value Evaluator::through_filters(const Expr* filters, const Value& text, Scope& scope) {
  if (filters == nullptr) return text;
  Scope& with_text = inner(scope);
  with_text.set("", text);  // the name that block_filters() gave to it
  return eval(*filters, with_text);
}

void Evaluator::assign(const Expr& target, const Value& value, Scope& scope) {
  if (target.kind == ExprKind::kName) return scope.set(target.text, value);
  if (target.kind == ExprKind::kAttribute) {
    const Value object = eval(*target.args[0], scope);
    HADAL_CHECK(object.is(Kind::kNamespace), "set ", target.args[0]->text, ".", target.text, ": ", target.args[0]->text,
                " is of type ", kind_name(object), ", want a namespace");
    return heap_.set(object.dict(), target.text, value);
  }
  const std::vector<Value> items = items_of(rt_, value);
  HADAL_CHECK(items.size() == target.args.size(), "got ", items.size(), " values for ", target.args.size(), " names");
  for (std::size_t i = 0; i < items.size(); ++i) assign(*target.args[i], items[i], scope);
}

Value Evaluator::function(Function f) {
  heap_.charge(sizeof(Function));
  return Value(&functions_.emplace_back(f));
}

Value Evaluator::call(const Value& callee, const CallArgs& args) {
  if (callee.is(Kind::kUndefined))
    fail(callee.name().empty() ? "a value" : "\"" + callee.name() + "\"", " is undefined and cannot be called");
  HADAL_CHECK(callee.is(Kind::kFunction), "a value of type ", kind_name(callee), " cannot be called");
  const Function& f = callee.function();
  switch (f.what) {
    case Function::What::kMethod:
      return call_method(rt_, f.self, f.name, args);
    case Function::What::kGlobal:
      return call_global(rt_, f.name, args);
    case Function::What::kMacro:
      return call_macro(f, args);
    default:
      return call_loop(f, args);
  }
}

Value Evaluator::call_macro(const Function& f, const CallArgs& args) {
  const Nesting nesting(*this);
  const Stmt& macro = *f.macro;
  Scope& variables = inner(*f.scope);
  HADAL_CHECK(args.positional.size() <= macro.parameters.size(), "macro ", f.name, ": got ", args.positional.size(),
              " arguments, want at most ", macro.parameters.size());
  std::size_t named = 0;
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const auto& [name, fallback] = macro.parameters[i];
    Value value = Value::undefined(&name);
    bool given = i < args.positional.size();
    if (given) value = args.positional[i];
    for (const auto& [keyword, v] : args.keywords)
      if (keyword == name) {
        HADAL_CHECK(!given, "macro ", f.name, ": got the argument \"", name, "\" twice");
        value = v;
        given = true;
        ++named;
      }
    variables.set(name, value);
    if (!given && fallback != nullptr) variables.set(name, eval(*fallback, variables));
  }
  HADAL_CHECK(named == args.keywords.size(), "macro ", f.name, ": has no argument \"",
              args.keywords.empty() ? "" : args.keywords.back().first, "\"");
  const int line = line_;
  Text text = capture(macro.branches[0].second, variables);
  line_ = line;
  return heap_.string(std::move(text));
}

Value Evaluator::call_loop(const Function& f, const CallArgs& args) {
  Dict& loop = f.self.dict();
  if (f.what == Function::What::kCycle) {
    HADAL_CHECK(!args.positional.empty(), "loop.cycle: got nothing to choose from");
    return args.positional[static_cast<std::size_t>(loop.entries[1].second.as_int()) % args.positional.size()];
  }
  const Value now = heap_.list(args.positional);
  const Value* before = loop.find(" changed");  // no template can write this name
  const bool changed = before == nullptr || !equal(*before, now);
  heap_.set(loop, " changed", now);
  return Value::boolean(changed);
}

}  // namespace hadal::jinja
