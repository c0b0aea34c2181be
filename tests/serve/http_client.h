#pragma once
// The least of an HTTP client: bytes over a socket, and what they mean.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/json.h"

namespace hadal {

struct Reply {
  int status = 0;
  std::string head, body;
  Json json() const { return parse_json(body, "body"); }
};

class Client {
 public:
  explicit Client(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  void send(const std::string& bytes) {
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
    }
  }
  void send(const std::string& method, const std::string& path, const std::string& body = "",
            const std::string& headers = "") {
    send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  /// Reads until `text` has come; everything that came since the last call of take(). A failure when the peer closes.
  const std::string& wait_for(const std::string& text) {
    while (buffer_.find(text) == std::string::npos)
      if (!read_some()) {
        ADD_FAILURE() << "the connection ended without " << text << ": " << buffer_;
        break;
      }
    return buffer_;
  }
  /// True when the peer closes, having sent nothing further.
  bool closed() { return !read_some(); }

  /// The next reply, whole.
  Reply take() {
    Reply reply;
    reply.head = cut(wait_for("\r\n\r\n").find("\r\n\r\n") + 4);
    reply.status = std::atoi(reply.head.substr(9, 3).c_str());
    const std::size_t length = reply.head.find("Content-Length: ");
    if (length != std::string::npos) {
      const auto size = static_cast<std::size_t>(std::atoll(reply.head.c_str() + length + 16));
      while (buffer_.size() < size && read_some()) {
      }
      reply.body = cut(size);
    } else if (reply.head.find("chunked") != std::string::npos) {
      for (std::size_t size = 1; size > 0;) {
        const std::size_t line = wait_for("\r\n").find("\r\n");
        size = std::strtoull(cut(line + 2).c_str(), nullptr, 16);
        while (buffer_.size() < size + 2 && read_some()) {
        }
        reply.body += cut(size);
        cut(2);
      }
    } else if (reply.status != 204 && reply.status != 100) {
      while (read_some()) {
      }
      reply.body = cut(buffer_.size());
    }
    return reply;
  }

 private:
  bool read_some() {
    char bytes[4096];
    const ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
    if (n > 0) buffer_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }
  std::string cut(std::size_t n) {
    std::string front = buffer_.substr(0, n);
    buffer_.erase(0, n);
    return front;
  }

  int socket_;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace hadal
