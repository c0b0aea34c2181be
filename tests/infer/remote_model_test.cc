// Against a server that says what the test tells it to.
#include "infer/remote_model.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace hadal {
namespace {

/// Takes one connection, reads a request, sends `reply` (empty: nothing, ever), and remembers what came.
class OneReply {
 public:
  explicit OneReply(std::string reply) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, reply = std::move(reply)] { serve(reply); });
  }
  ~OneReply() {
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return str_cat("http://127.0.0.1:", port_, "/v1/"); }
  std::string request;

 private:
  void serve(const std::string& reply) {
    const int peer = ::accept(listener_, nullptr, nullptr);
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos || !request.ends_with("}")) {
      const ssize_t n = ::recv(peer, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      request.append(buffer, static_cast<std::size_t>(n));
    }
    if (reply.empty())
      while (::recv(peer, buffer, sizeof buffer, 0) > 0) {
      }
    else
      ::send(peer, reply.data(), reply.size(), MSG_NOSIGNAL);
    ::close(peer);
  }
  int listener_, port_ = 0;
  std::thread thread_;
};

std::string http(int status, const std::string& body) {
  return str_cat("HTTP/1.1 ", status, " X\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

const JsonArray kMessages = {JsonObject{{"role", "user"}, {"content", "2+2"}}};

Result<std::string> ask(const OneReply& server, double timeout = 10) {
  return RemoteModel({.url = server.url(), .model = "m", .api_key = "k", .timeout = timeout})
      .chat(kMessages, {{"temperature", 0}});
}

TEST(RemoteModel, AsksAndReads) {
  const std::string body = R"({"choices": [{"message": {"role": "assistant", "content": "four"}}]})";
  const std::string chunked = str_cat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                      fmt::format("{:x}", body.size()), "\r\n", body, "\r\n0\r\n\r\n");
  for (const std::string& reply : {http(200, body), chunked, str_cat("HTTP/1.0 200 OK\r\n\r\n", body)}) {
    {
      OneReply server(reply);
      EXPECT_EQ(ask(server).value(), "four");
    }
  }
  OneReply server(http(200, body));
  EXPECT_TRUE(ask(server).ok());
  EXPECT_TRUE(server.request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n")) << server.request;
  EXPECT_NE(server.request.find("Authorization: Bearer k\r\n"), std::string::npos);
  const Json sent = parse_json(server.request.substr(server.request.find("\r\n\r\n") + 4), "request");
  EXPECT_EQ(sent.at("model"), "m");
  EXPECT_EQ(sent.at("temperature"), 0);
  EXPECT_EQ(sent.at("messages"), Json(kMessages));
}

TEST(RemoteModel, WhatIsNoAnswerIsAFailure) {
  const auto message = [](const std::string& reply) {
    OneReply server(reply);
    const Result<std::string> said = ask(server);
    return said.ok() ? "answered" : said.message();
  };
  EXPECT_NE(message(http(503, R"({"error": {"message": "busy"}})")).find("busy"), std::string::npos);
  EXPECT_NE(message(http(500, "no json")).find("status 500"), std::string::npos);
  EXPECT_NE(message(http(200, "{\"choices\": []}")).find("no text"), std::string::npos);
  EXPECT_NE(message(http(200, "{")).find("http://"), std::string::npos);
  EXPECT_NE(message("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").find("no whole answer"), std::string::npos);
  EXPECT_NE(message("nonsense\r\n\r\n").find("no whole answer"), std::string::npos);
}

TEST(RemoteModel, Limits) {
  OneReply silent("");
  const Result<std::string> late = ask(silent, 0.2);
  ASSERT_FALSE(late.ok());
  EXPECT_NE(late.message().find("no whole answer"), std::string::npos) << late.message();
  OneReply large(http(200, std::string(100000, ' ')));
  const RemoteModel remote({.url = large.url(), .model = "m", .max_bytes = 1000});
  EXPECT_FALSE(remote.chat(kMessages).ok());
}

TEST(RemoteModel, NobodyThereAndBadUrls) {
  EXPECT_FALSE(RemoteModel({.url = "http://127.0.0.1:1/v1", .timeout = 5}).chat(kMessages).ok());
  for (const char* url : {"", "https://host/v1", "host:80", "http://", "http://host:port", "http://:80/v1"})
    EXPECT_THROW(RemoteModel({.url = url}), Error) << url;
}

}  // namespace
}  // namespace hadal
