#pragma once
// Runs a parsed template.
#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "data/chat_template/ast.h"
#include "data/chat_template/builtins.h"

namespace hadal::jinja {

/// Variables of a block; what it has not is looked for in the blocks around it.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> variables;

  void set(std::string_view name, const Value& value) {
    for (auto& [n, v] : variables)
      if (n == name) {
        v = value;
        return;
      }
    variables.emplace_back(name, value);
  }
};

struct RenderResult {
  Text text;
  std::vector<std::pair<std::size_t, std::size_t>> generation;  // bytes that generation blocks printed
};

class Evaluator {
 public:
  /// `where` opens error messages. The template must outlive the evaluator.
  Evaluator(const Ast& ast, std::string_view where, const RenderLimits& limits, const std::tm& now)
      : ast_(ast), where_(where), heap_(limits), rt_{heap_, now} {}

  Heap& heap() { return heap_; }
  /// Gives the template a variable. `name` must outlive the evaluator.
  void set_variable(std::string_view name, const Value& value) { globals_.set(name, value); }
  /// Once. Throws Error: where:line and what went wrong there, or what the template itself refuses.
  RenderResult run();

 private:
  enum class Flow : std::uint8_t { kNext, kBreak, kContinue };
  class Nesting;

  Flow exec(const Body& body, Scope& scope);
  Flow exec(const Stmt& s, Scope& scope);
  Flow exec_if(const Stmt& s, Scope& scope);
  Flow exec_for(const Stmt& s, Scope& scope);
  void exec_generation(const Stmt& s, Scope& scope);
  void print(const Text& text);
  Text capture(const Body& body, Scope& scope);
  Value through_filters(const Expr* filters, const Value& text, Scope& scope);
  void assign(const Expr& target, const Value& value, Scope& scope);
  Value make_loop(std::size_t count);
  Scope& inner(Scope& parent);

  Value eval(const Expr& e, Scope& scope);
  Value eval_constant(const Expr& e);
  Value eval_name(const Expr& e, Scope& scope);
  Value eval_collection(const Expr& e, Scope& scope);
  Value eval_attribute(const Expr& e, Scope& scope);
  Value eval_item(const Expr& e, Scope& scope);
  Value eval_slice(const Expr& e, Scope& scope);
  Value eval_binary(const Expr& e, Scope& scope);
  Value eval_concat(const Expr& e, Scope& scope);
  Value eval_compare(const Expr& e, Scope& scope);
  Value eval_sign(const Expr& e, Scope& scope);
  Value arithmetic(const Value& a, const Value& b, std::string_view sign);
  Value integer_arithmetic(std::int64_t a, std::int64_t b, std::string_view sign);
  Value repeat(const Value& what, std::int64_t times);
  CallArgs eval_args(const Expr& e, Scope& scope);
  Value call(const Value& callee, const CallArgs& args);
  Value call_macro(const Function& f, const CallArgs& args);
  Value call_loop(const Function& f, const CallArgs& args);
  Value function(Function f);

  const Ast& ast_;
  std::string where_;
  Heap heap_;
  Runtime rt_;
  Scope globals_;
  std::deque<Scope> scopes_;
  std::deque<Function> functions_;
  Text* out_ = nullptr;
  const Text* main_out_ = nullptr;
  std::vector<std::pair<std::size_t, std::size_t>> generation_;
  int depth_ = 0, line_ = 0;
};

/// Counts how deep the evaluator has called itself. Throws Error when it is too deep.
class Evaluator::Nesting {
 public:
  explicit Nesting(Evaluator& evaluator) : depth_(evaluator.depth_) {
    constexpr int kMaxDepth = 500;
    HADAL_CHECK(depth_ < kMaxDepth, "nested deeper than ", kMaxDepth);
    ++depth_;
  }
  ~Nesting() { --depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int& depth_;
};

}  // namespace hadal::jinja
