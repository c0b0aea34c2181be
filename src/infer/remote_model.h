#pragma once
// A model behind an OpenAI-compatible URL, asked one question at a time.
#include <string>

#include "base/json.h"

namespace hadal {

struct RemoteModelOptions {
  std::string url, model, api_key;
  double timeout = 300;
  std::int64_t max_bytes = std::int64_t{16} << 20;
};

/// Thread-safe: every call opens a connection of its own.
class RemoteModel {
 public:
  /// url: "http://host:port/v1" (the path may be another, or missing). Throws Error on anything else; TLS is left to a
  /// proxy.
  explicit RemoteModel(RemoteModelOptions options);

  /// The content of the answer to a chat (POST URL/chat/completions). `parameters`: further keys of the request
  /// ("temperature", "max_tokens"). A Failure says why there is none: no connection, a timeout, another status than
  /// 200 (with the server's message), an answer of another shape.
  Result<std::string> chat(const JsonArray& messages, const JsonObject& parameters = {}) const;

 private:
  struct Reply {
    int status = 0;
    std::string body;
  };
  Result<Reply> post(const std::string& target, const std::string& body) const;

  RemoteModelOptions options_;
  std::string host_, port_ = "80", path_;
};

}  // namespace hadal
