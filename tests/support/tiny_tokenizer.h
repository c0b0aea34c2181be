#pragma once
// A tokenizer without merges: every byte is a token, and so are the control tokens that templates of tests use.
#include <string>

#include "data/tokenizer/tokenizer.h"
#include "formats/pre_tokenizers.h"

namespace hadal {

inline Tokenizer tiny_tokenizer() {
  TokenizerFiles files;
  for (int byte = 0; byte < 256; ++byte)
    files.spec.tokens.push_back({.bytes = std::string(1, static_cast<char>(byte))});
  for (const char* name : {"<bos>", "<eos>", "<user>", "<bot>", "<think>", "</think>", "<call>", "</call>"}) {
    const int id = static_cast<int>(files.spec.tokens.size());
    files.spec.tokens.push_back({.bytes = name, .literal = true});
    files.spec.added_tokens.push_back({.id = id, .content = name, .special = name[1] != 't' && name[1] != '/'});
  }
  files.spec.splits = {kGpt2Split};
  files.config.bos_token = "<bos>";
  files.config.eos_token = "<eos>";
  // Joins systems in front, cuts reasoning out of old answers, prints calls: what real templates do.
  files.config.chat_template =
      "{{ bos_token }}{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}"
      "{% for m in messages %}{% if m.role == 'user' %}{{ '<user>' + m.content }}"
      "{% elif m.role == 'tool' %}{{ '<user>[' + m.content + ']' }}"
      "{% elif m.role == 'assistant' %}<bot>"
      "{% if m.reasoning_content and loop.last %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content or '' "
      "}}"
      "{% for c in m.tool_calls or [] %}<call>{{ c.function.name ~ c.function.arguments }}</call>{% endfor %}{{ "
      "eos_token }}"
      "{% endif %}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}";
  return Tokenizer(std::move(files));
}

}  // namespace hadal
