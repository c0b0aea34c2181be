#include "serve/openai/api_error.h"

namespace hadal {

ApiError bad_field(const std::string& param, const std::string& message) {
  return {400, "invalid_request_error", message, param};
}

ApiError not_supported(const std::string& param, const std::string& what) {
  return {501, "not_supported_error", str_cat(param, ": ", what, " is not supported"), param, "not_supported"};
}

JsonObject error_json(const ApiError& error) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  JsonObject object{
      {"message", error.what()}, {"type", error.type}, {"param", or_null(error.param)}, {"code", or_null(error.code)}};
  for (const auto& [key, value] : error.more) object[key] = value;
  return {{"error", std::move(object)}};
}

HttpResponse error_response(const ApiError& error) {
  HttpResponse response{.status = error.status, .headers = {}, .body = json_line(error_json(error))};
  if (error.status == 429) response.headers.emplace_back("Retry-After", "1");
  // OpenAI's clients repeat what failed with 500, which would only fail again.
  if (error.status == 500) response.headers.emplace_back("x-should-retry", "false");
  return response;
}

HttpResponse json_response(const JsonObject& body) {
  return {.headers = {}, .body = json_line(body)};
}

}  // namespace hadal
