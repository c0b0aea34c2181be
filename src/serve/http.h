#pragma once
// HTTP/1.1: requests in, whole or streamed responses out. Knows nothing of models. Boost.Beast is behind http.cc.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hadal {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // without the query, as it was sent
  HttpHeaders headers;
  std::string body;
  /// The value of a header, whatever the case of its name; "" when absent.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
};

/// One request and the response to it. All functions but post() belong to the connection: the handler is called there,
/// and so is what post() takes. The connection and whoever still answers hold it together; after the client has gone
/// its functions do nothing. The server must outlive it.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// Runs `f` on the connection, after all that was posted before. From any thread; does not block.
  virtual void post(std::function<void()> f) = 0;
  /// The whole response. Once, and not after start().
  virtual void respond(HttpResponse response) = 0;
  /// Sends the head now; the body comes by write() until finish(). When nothing was written for the keep-alive
  /// interval, `keep_alive` is ("": nothing).
  virtual void start(HttpResponse head, std::string keep_alive) = 0;
  virtual void write(std::string_view text) = 0;
  virtual void finish() = 0;
  /// Called once when the client has gone before the response ended; at once if that is so already.
  virtual void on_disconnect(std::function<void()> f) = 0;
};

/// Answers a request, now or later. Exceptions become status 500.
using HttpHandler = std::function<void(const HttpRequest&, const std::shared_ptr<Exchange>&)>;

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;  // 0: any free one
  int http_threads = 2;
  std::int64_t body_limit = std::int64_t{64} << 20;
  double header_timeout = 10;  // seconds from the first byte of a request to the end of its head
  double body_timeout = 60;    // for the rest of it, and for each piece of a response
  double idle_timeout = 75;    // between requests
  double keep_alive = 10;      // seconds of silence in a stream
  double drain_timeout = 30;   // for what runs when the server is told to stop
  template <class V>
  void visit(V&& v) {
    v("host", host, "address to listen on", {.placeholder = "ADDRESS"});
    v("port", port, "port to listen on; 0: any free one");
    v("http_threads", http_threads, "threads for connections");
    v("body_limit", body_limit, "most bytes of a request");
    v("header_timeout", header_timeout, "seconds for the head of a request");
    v("body_timeout", body_timeout, "seconds for the body of a request, and for each piece of a response");
    v("idle_timeout", idle_timeout, "seconds that a connection may wait between requests");
    v("keep_alive", keep_alive, "seconds of silence after which a stream sends a comment");
    v("drain_timeout", drain_timeout, "seconds that running answers get when the server is told to stop");
  }
};

class HttpServer {
 public:
  /// Binds and listens. Throws Error when that is not possible.
  HttpServer(const HttpOptions& options, HttpHandler handler);
  ~HttpServer();
  int port() const;
  /// Serves until stop(), or SIGINT or SIGTERM when `signals`; then lets running answers end within drain_timeout. A
  /// second signal ends them at once.
  void run(bool signals = false);
  /// Begins to stop. From any thread.
  void stop();
  /// True once stop() was called: new work should be refused.
  bool stopping() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
