#include "serve/http.h"

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>

#include "base/error.h"
#include "base/log.h"
#include "serve/http_exchange.h"

namespace hadal {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;  // ||: the first to end cancels the other
using Code = boost::system::error_code;

// Errors come back as values: an operation that throws would not end a race of ||.
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

constexpr std::size_t kMaxAhead = std::size_t{64} << 10;  // bytes of further requests taken while one is answered
constexpr std::uint32_t kHeaderLimit = 32U << 10;

/// The result of `operation`, or a timeout.
asio::awaitable<Code> within(double limit, asio::awaitable<Code> operation) {
  asio::steady_timer timer(co_await asio::this_coro::executor, to_nanoseconds(limit));
  const auto first = co_await (std::move(operation) || timer.async_wait(kTuple));
  if (first.index() == 0) co_return std::get<0>(first);
  co_return asio::error::timed_out;
}

// The operations that have a time limit.
using Parser = http::request_parser<http::string_body>;

asio::awaitable<Code> wait_for_bytes(tcp::socket& socket) {
  const auto [code] = co_await socket.async_wait(tcp::socket::wait_read, kTuple);
  co_return code;
}
asio::awaitable<Code> read_head(tcp::socket& socket, beast::flat_buffer& buffer, Parser& parser) {
  const auto [code, n] = co_await http::async_read_header(socket, buffer, parser, kTuple);
  co_return code;
}
asio::awaitable<Code> read_body(tcp::socket& socket, beast::flat_buffer& buffer, Parser& parser) {
  const auto [code, n] = co_await http::async_read(socket, buffer, parser, kTuple);
  co_return code;
}
asio::awaitable<Code> drop_input(tcp::socket& socket) {
  std::array<char, 4096> dropped;
  Code code;
  while (!code) std::tie(code, std::ignore) = co_await socket.async_read_some(asio::buffer(dropped), kTuple);
  co_return code;
}
asio::awaitable<Code> write_whole(tcp::socket& socket, http::response<http::string_body>& response, bool head_only) {
  http::response_serializer<http::string_body> serializer(response);
  if (head_only) {
    const auto [code, n] = co_await http::async_write_header(socket, serializer, kTuple);
    co_return code;
  }
  const auto [code, n] = co_await http::async_write(socket, serializer, kTuple);
  co_return code;
}
asio::awaitable<Code> write_piece(tcp::socket& socket, const std::string& piece, bool chunked) {
  const auto text = asio::buffer(piece);
  if (chunked) {
    const auto [code, n] = co_await asio::async_write(socket, http::make_chunk(text), kTuple);
    co_return code;
  }
  const auto [code, n] = co_await asio::async_write(socket, text, kTuple);
  co_return code;
}

class Connection;

struct Shared {
  HttpOptions options;
  HttpHandler handler;
  std::atomic<bool> stopping = false;
  std::mutex mutex;  // of connections
  std::list<Connection*> connections;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared& shared) : socket_(std::move(socket)), shared_(shared) {
    const std::lock_guard lock(shared_.mutex);
    place_ = shared_.connections.insert(shared_.connections.end(), this);
  }
  ~Connection() {
    const std::lock_guard lock(shared_.mutex);
    shared_.connections.erase(place_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  asio::awaitable<void> serve();
  /// From any thread: ends the connection, now or when its answer is over.
  void stop(bool now) {
    asio::post(socket_.get_executor(), [self = weak_from_this(), now] {
      const auto connection = self.lock();
      if (connection && (now || !connection->exchange_)) connection->socket_.close(connection->ignored_);
    });
  }

 private:
  asio::awaitable<std::optional<Code>> read_request(Parser& parser);
  asio::awaitable<void> refuse(unsigned version, Code code);
  HttpRequest take(Parser& parser);
  void handle(const HttpRequest& request);
  asio::awaitable<void> watch();
  asio::awaitable<bool> answer(unsigned version, bool keep_alive, bool head_only);
  asio::awaitable<Code> send_whole(unsigned version, bool keep_alive, bool head_only);
  asio::awaitable<bool> send_stream(unsigned version, bool keep_alive);

  tcp::socket socket_;
  Shared& shared_;
  std::list<Connection*>::iterator place_;
  beast::flat_buffer buffer_;
  std::shared_ptr<HttpExchange> exchange_;  // while a request is answered
  Code ignored_;
};

// The error of a request that cannot be read; nothing when it is there.
asio::awaitable<std::optional<Code>> Connection::read_request(Parser& parser) {
  parser.header_limit(kHeaderLimit);
  parser.body_limit(static_cast<std::uint64_t>(shared_.options.body_limit));
  if (buffer_.size() == 0) {
    const Code code = co_await within(shared_.options.idle_timeout, wait_for_bytes(socket_));
    if (code) co_return code;
  }
  Code code = co_await within(shared_.options.header_timeout, read_head(socket_, buffer_, parser));
  if (code) co_return code;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    http::response<http::empty_body> more(http::status::continue_, parser.get().version());
    if (const auto [failed, n] = co_await http::async_write(socket_, more, kTuple); failed) co_return failed;
  }
  code = co_await within(shared_.options.body_timeout, read_body(socket_, buffer_, parser));
  if (code) co_return code;
  co_return std::nullopt;
}

// An answer to bytes that are no request, where the peer can be thought to want one.
asio::awaitable<void> Connection::refuse(unsigned version, Code code) {
  if (code == http::error::end_of_stream || code.category() != Code(http::error::bad_version).category()) co_return;
  const bool too_large = code == http::error::body_limit, head = code == http::error::header_limit;
  exchange_ = std::make_shared<HttpExchange>(socket_.get_executor());
  exchange_->respond({.status = too_large ? 413
                                : head    ? 431
                                          : 400,
                      .body = str_cat(R"({"error":{"message":")", too_large ? "the request has more bytes than " : "",
                                      too_large ? str_cat(shared_.options.body_limit) : code.message(),
                                      R"(","type":"invalid_request_error","param":null,"code":)",
                                      too_large ? R"("request_too_large")" : "null", "}}")});
  co_await send_whole(version == 0 ? 11 : version, false, false);
  exchange_.reset();
  // Unread bytes would reset the connection before the client has read the answer.
  socket_.shutdown(tcp::socket::shutdown_send, ignored_);
  co_await within(1, drop_input(socket_));
}

HttpRequest Connection::take(Parser& parser) {
  const auto& message = parser.get();
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  request.path = std::string(target.substr(0, target.find('?')));
  for (const auto& field : message)
    request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  request.body = std::move(parser.get().body());
  return request;
}

void Connection::handle(const HttpRequest& request) {
  try {
    shared_.handler(request, exchange_);
  } catch (const std::exception& e) {
    log_error("http: ", request.method, " ", request.path, ": ", e.what());
    exchange_->respond(
        {.status = 500,
         .body = R"({"error":{"message":"internal error","type":"server_error","param":null,"code":null}})"});
    exchange_->finish();
  }
}

asio::awaitable<void> Connection::serve() {
  socket_.set_option(tcp::no_delay(true), ignored_);
  for (bool open = true; open;) {
    Parser parser;
    if (const auto failed = co_await read_request(parser)) {
      co_await refuse(parser.get().version(), *failed);
      break;
    }
    const unsigned version = parser.get().version();
    const bool keep_alive = parser.keep_alive() && !shared_.stopping, head = parser.get().method() == http::verb::head;
    exchange_ = std::make_shared<HttpExchange>(socket_.get_executor());
    handle(take(parser));
    const auto first = co_await (answer(version, keep_alive, head) || watch());
    open = first.index() == 0 && std::get<0>(first);
    exchange_->close();
    exchange_.reset();
    open = open && !shared_.stopping;
  }
  socket_.shutdown(tcp::socket::shutdown_both, ignored_);
  socket_.close(ignored_);
}

// Ends when the client has gone. Requests that it sends ahead are kept for later.
asio::awaitable<void> Connection::watch() {
  for (;;) {
    if (buffer_.size() >= kMaxAhead) {
      // Enough: nothing more is read, and a client that goes is noticed when a piece cannot be sent.
      asio::steady_timer forever(socket_.get_executor(), asio::steady_timer::time_point::max());
      co_await forever.async_wait(kTuple);
      continue;
    }
    const auto [code, n] = co_await socket_.async_read_some(buffer_.prepare(4096), kTuple);
    buffer_.commit(n);
    if (code) co_return;
  }
}

// Sends what the exchange is told. False: the connection cannot be used further.
asio::awaitable<bool> Connection::answer(unsigned version, bool keep_alive, bool head_only) {
  const std::shared_ptr<HttpExchange> exchange = exchange_;
  while (!exchange->head() && !exchange->gone()) co_await exchange->changed(3600);
  if (exchange->gone()) co_return false;
  if (exchange->streamed()) co_return co_await send_stream(version, keep_alive);
  if (co_await send_whole(version, keep_alive, head_only)) co_return false;
  exchange->sent();
  co_return keep_alive;
}

template <class Body>
http::response<Body> response_head(const HttpResponse& from, unsigned version, bool keep_alive) {
  http::response<Body> response(static_cast<http::status>(from.status), version);
  response.keep_alive(keep_alive);
  response.set(http::field::server, "hadal");
  if (!from.content_type.empty()) response.set(http::field::content_type, from.content_type);
  for (const auto& [name, value] : from.headers) response.set(name, value);
  return response;
}

asio::awaitable<Code> Connection::send_whole(unsigned version, bool keep_alive, bool head_only) {
  HttpResponse& from = *exchange_->head();
  auto response = response_head<http::string_body>(from, version, keep_alive);
  response.body() = std::move(from.body);
  response.prepare_payload();
  if (head_only) response.body().clear();
  co_return co_await within(shared_.options.body_timeout, write_whole(socket_, response, head_only));
}

asio::awaitable<bool> Connection::send_stream(unsigned version, bool keep_alive) {
  const std::shared_ptr<HttpExchange> exchange = exchange_;
  const bool chunked = version >= 11;
  auto head = response_head<http::empty_body>(*exchange->head(), version, keep_alive && chunked);
  head.chunked(chunked);
  http::response_serializer<http::empty_body> serializer(head);
  if (const auto [failed, n] = co_await http::async_write_header(socket_, serializer, kTuple); failed) co_return false;
  for (std::string piece;;) {
    piece = exchange->take();
    if (piece.empty() && exchange->finished()) break;
    if (exchange->gone()) co_return false;
    if (piece.empty()) {
      if (co_await exchange->changed(shared_.options.keep_alive) || exchange->keep_alive().empty()) continue;
      piece = exchange->keep_alive();
    }
    const Code failed = co_await within(shared_.options.body_timeout, write_piece(socket_, piece, chunked));
    if (failed) co_return false;
  }
  if (chunked) {
    const auto [failed, n] = co_await asio::async_write(socket_, http::make_chunk_last(), kTuple);
    if (failed) co_return false;
  }
  exchange->sent();
  co_return chunked&& keep_alive;
}

}  // namespace

struct HttpServer::Impl {
  asio::io_context io;
  asio::any_io_executor strand = asio::make_strand(io);  // of what follows
  tcp::acceptor acceptor{strand};
  asio::steady_timer drain{strand};
  asio::signal_set signals{strand};
  Shared shared;
  int port = 0;

  asio::awaitable<void> accept() {
    for (;;) {
      auto [code, socket] = co_await acceptor.async_accept(asio::make_strand(io), kTuple);
      if (!acceptor.is_open()) co_return;
      if (code) {  // out of file descriptors, say
        asio::steady_timer pause(strand, std::chrono::milliseconds(100));
        co_await pause.async_wait(kTuple);
        continue;
      }
      const auto executor = socket.get_executor();
      asio::co_spawn(executor, run(std::make_shared<Connection>(std::move(socket), shared)), asio::detached);
    }
  }
  static asio::awaitable<void> run(std::shared_ptr<Connection> connection) { co_await connection->serve(); }
  void end_connections(bool now) {
    const std::lock_guard lock(shared.mutex);
    for (Connection* connection : shared.connections) connection->stop(now);
  }
  void stop() {
    if (shared.stopping.exchange(true)) return;
    Code ignored;
    acceptor.close(ignored);
    end_connections(false);
    drain.expires_after(to_nanoseconds(shared.options.drain_timeout));
    drain.async_wait([this](Code code) {
      if (!code) end_connections(true);
    });
    asio::co_spawn(strand, watch_end(), asio::detached);
  }
  // The timers and signals must not keep run() alive when the last connection is over.
  asio::awaitable<void> watch_end() {
    asio::steady_timer pause(strand);
    for (;;) {
      pause.expires_after(std::chrono::milliseconds(20));
      co_await pause.async_wait(kTuple);
      const std::lock_guard lock(shared.mutex);
      if (shared.connections.empty()) break;
    }
    drain.cancel();
    signals.cancel();
  }
  void wait_for_signal() {
    signals.async_wait([this](Code code, int) {
      if (code) return;
      if (shared.stopping) {
        end_connections(true);
        return;
      }
      log_info("stopping; running answers get ", shared.options.drain_timeout, " s, a second signal ends them");
      stop();
      wait_for_signal();
    });
  }
};

HttpServer::HttpServer(const HttpOptions& options, HttpHandler handler) : impl_(std::make_unique<Impl>()) {
  HADAL_CHECK(options.port >= 0 && options.port < 65536, "port: got ", options.port, ", want 0 to 65535");
  HADAL_CHECK(options.http_threads > 0, "http_threads: got ", options.http_threads, ", want 1 or more");
  impl_->shared.options = options;
  impl_->shared.handler = std::move(handler);
  try {
    const tcp::endpoint endpoint(asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host),
                                 static_cast<std::uint16_t>(options.port));
    impl_->acceptor.open(endpoint.protocol());
    impl_->acceptor.set_option(tcp::acceptor::reuse_address(true));
    impl_->acceptor.bind(endpoint);
    impl_->acceptor.listen();
    impl_->port = impl_->acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& e) {
    fail("cannot listen on ", options.host, ":", options.port, ": ", e.code().message());
  }
}
HttpServer::~HttpServer() = default;

int HttpServer::port() const {
  return impl_->port;
}
bool HttpServer::stopping() const {
  return impl_->shared.stopping;
}
void HttpServer::stop() {
  asio::post(impl_->strand, [this] { impl_->stop(); });
}

void HttpServer::run(bool signals) {
  if (signals) {
    impl_->signals.add(SIGINT);
    impl_->signals.add(SIGTERM);
    impl_->wait_for_signal();
  }
  asio::co_spawn(impl_->strand, impl_->accept(), asio::detached);
  std::vector<std::thread> threads;
  for (int i = 1; i < impl_->shared.options.http_threads; ++i) threads.emplace_back([this] { impl_->io.run(); });
  impl_->io.run();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace hadal
