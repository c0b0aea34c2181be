#pragma once
// The state of one request between the connection, which sends, and whoever answers. http.cc's own.
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <optional>

#include "serve/http.h"

namespace hadal {

inline std::chrono::nanoseconds to_nanoseconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

/// All but post() run on the strand of the connection, so nothing is locked.
class HttpExchange final : public Exchange {
 public:
  explicit HttpExchange(const boost::asio::any_io_executor& strand) : strand_(strand), wake_(strand) {}

  void post(std::function<void()> f) override { boost::asio::post(strand_, std::move(f)); }
  void respond(HttpResponse response) override {
    if (gone_ || head_) return;
    head_ = std::move(response);
    finished_ = true;
    wake_.cancel();
  }
  void start(HttpResponse head, std::string keep_alive) override {
    if (gone_ || head_) return;
    head_ = std::move(head);
    streamed_ = true;
    keep_alive_ = std::move(keep_alive);
    wake_.cancel();
  }
  void write(std::string_view text) override {
    if (gone_ || finished_) return;
    queued_ += text;
    if (queued_.size() > kMaxQueued) close();
    wake_.cancel();
  }
  void finish() override {
    finished_ = true;
    wake_.cancel();
  }
  void on_disconnect(std::function<void()> f) override {
    if (gone_ && !sent_) return f();
    on_disconnect_ = std::move(f);
  }

  std::optional<HttpResponse>& head() { return head_; }
  const std::string& keep_alive() const { return keep_alive_; }
  bool streamed() const { return streamed_; }
  bool finished() const { return finished_; }
  bool gone() const { return gone_; }
  std::string take() { return std::exchange(queued_, ""); }
  /// The response is with the client.
  void sent() { sent_ = true; }
  /// Nobody listens any more; whoever answers is told when there was more to say.
  void close() {
    if (gone_) return;
    gone_ = true;
    wake_.cancel();
    // The callback may hold this object.
    const std::function<void()> callback = std::exchange(on_disconnect_, {});
    if (!sent_ && callback) callback();
  }
  /// Waits until something was asked for (true), or so many seconds.
  boost::asio::awaitable<bool> changed(double seconds) {
    wake_.expires_after(to_nanoseconds(seconds));
    const auto [code] = co_await wake_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    co_return code.failed();
  }

 private:
  static constexpr std::size_t kMaxQueued = std::size_t{32} << 20;  // bytes that a client may leave unread

  boost::asio::any_io_executor strand_;
  boost::asio::steady_timer wake_;  // a condition: cancelled when something changes
  std::optional<HttpResponse> head_;
  std::string queued_, keep_alive_;
  bool streamed_ = false, finished_ = false, gone_ = false, sent_ = false;
  std::function<void()> on_disconnect_;
};

}  // namespace hadal
