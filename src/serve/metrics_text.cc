#include "serve/metrics_text.h"

#include <fmt/format.h>

namespace hadal {

std::string metrics_text(const EngineStats& engine, const std::optional<ExpertStats>& experts) {
  std::string text;
  const auto head = [&](std::string_view name, std::string_view type, std::string_view help) {
    text += fmt::format("# HELP hadal_{} {}\n# TYPE hadal_{} {}\n", name, help, name, type);
  };
  const auto metric = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    head(name, type, help);
    text += fmt::format("hadal_{} {}\n", name, value);
  };
  metric("requests_waiting", "gauge", "Requests in the queue.", engine.waiting);
  metric("requests_running", "gauge", "Requests at work.", engine.running);
  metric("requests_finished_total", "counter", "Requests that are over.", engine.finished);
  metric("requests_preempted_total", "counter", "Times that a request gave its cache to another.", engine.preempted);
  metric("prompt_tokens_total", "counter", "Tokens of prompts.", engine.prompt_tokens);
  metric("cached_prompt_tokens_total", "counter", "Of these, found in the cache.", engine.cached_tokens);
  metric("completion_tokens_total", "counter", "Tokens of answers.", engine.completion_tokens);
  metric("drafted_tokens_total", "counter", "Guesses of speculation.", engine.drafted_tokens);
  metric("accepted_tokens_total", "counter", "Guesses that came true.", engine.accepted_tokens);
  metric("steps_total", "counter", "Passes over the model.", engine.steps);
  metric("cache_tokens_used", "gauge", "Tokens whose places in the cache are taken.", engine.cache_tokens_used);
  metric("cache_tokens", "gauge", "Tokens that the cache holds.", engine.cache_tokens_total);
  if (!experts) return text;
  head("experts_needed_total", "counter", "Experts that passes needed, by where they were.");
  text += fmt::format("hadal_experts_needed_total{{found=\"memory\"}} {}\n", experts->hits);
  text += fmt::format("hadal_experts_needed_total{{found=\"foreseen\"}} {}\n", experts->foreseen);
  text += fmt::format("hadal_experts_needed_total{{found=\"disk\"}} {}\n", experts->misses);
  metric("expert_guesses_total", "counter", "Experts that look-ahead had read.", experts->guesses);
  metric("expert_bytes_read_total", "counter", "Bytes of experts that were read.", experts->bytes_read);
  metric("expert_wait_seconds_total", "counter", "Seconds in which the model waited for them.", experts->wait_seconds);
  return text;
}

}  // namespace hadal
