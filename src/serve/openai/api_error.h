#pragma once
// Errors in the shape that OpenAI's clients read.
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "serve/http.h"

namespace hadal {

/// An answer other than 200. `param`: the field of the request that is to blame, `code`: for programs; "" is null.
struct ApiError : Error {
  ApiError(int status_, std::string type_, const std::string& message, std::string param_ = "", std::string code_ = "",
           JsonObject more_ = {})
      : Error(message),
        status(status_),
        type(std::move(type_)),
        param(std::move(param_)),
        code(std::move(code_)),
        more(std::move(more_)) {}
  int status;
  std::string type, param, code;
  JsonObject more;  // further keys of the error object
};

/// 400: the request is wrong in this field.
ApiError bad_field(const std::string& param, const std::string& message);
/// 501: the field asks for what is not there.
ApiError not_supported(const std::string& param, const std::string& what);

/// {"error": {...}}
JsonObject error_json(const ApiError& error);
HttpResponse error_response(const ApiError& error);
HttpResponse json_response(const JsonObject& body);

}  // namespace hadal
