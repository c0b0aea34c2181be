#pragma once
// Jinja source to tokens, with the white-space rules of Hugging Face's environment: trim_blocks, lstrip_blocks, and the
// signs - and + inside of delimiters.
#include <string>
#include <string_view>
#include <vector>

namespace hadal::jinja {

enum class TokenKind : unsigned char {
  kText,        // outside of tags
  kPrintBegin,  // {{
  kPrintEnd,    // }}
  kBlockBegin,  // {%
  kBlockEnd,    // %}
  kName,
  kString,  // text: what the literal means
  kInt,
  kFloat,
  kSign,  // text: the operator or bracket
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 0;
  std::string text;
};

/// The tokens of a template, a kEnd last. Comments are gone, raw blocks are text. Throws Error: where:line and what is
/// wrong. `source` must be well-formed UTF-8.
std::vector<Token> tokenize_template(std::string_view source, std::string_view where);

}  // namespace hadal::jinja
