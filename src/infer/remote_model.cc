#include "infer/remote_model.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace hadal {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Code = boost::system::error_code;

}  // namespace

RemoteModel::RemoteModel(RemoteModelOptions options) : options_(std::move(options)) {
  std::string_view rest = options_.url;
  constexpr std::string_view kScheme = "http://";
  HADAL_CHECK(rest.starts_with(kScheme), "url: got \"", options_.url, "\", want http://host:port/v1");
  rest.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  path_ = rest.substr(slash);
  while (path_.ends_with('/')) path_.pop_back();
  rest = rest.substr(0, slash);
  const std::size_t bracket = rest.find(']'), colon = rest.find(':', bracket == rest.npos ? 0 : bracket);
  if (colon != rest.npos) port_ = rest.substr(colon + 1);
  host_ = rest.substr(0, colon);
  if (host_.starts_with('[') && host_.ends_with(']')) host_ = host_.substr(1, host_.size() - 2);  // IPv6
  HADAL_CHECK(!host_.empty() && !port_.empty() && port_.find_first_not_of("0123456789") == port_.npos, "url: got \"",
              options_.url, "\", want http://host:port/v1");
}

Result<RemoteModel::Reply> RemoteModel::post(const std::string& target, const std::string& body) const {
  asio::io_context io;
  tcp::resolver resolver(io);
  beast::tcp_stream stream(io);
  Code error = asio::error::timed_out;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                               std::chrono::duration<double>(options_.timeout));
  // Runs the one operation that was started, until the deadline of the whole call.
  const auto wait = [&] {
    io.restart();
    io.run_until(deadline);
    if (!io.stopped()) {
      stream.cancel(), resolver.cancel();
      io.run();
      error = asio::error::timed_out;
    }
    return !error;
  };
  const auto failed = [&](std::string_view what) {
    return Failure{str_cat(options_.url, ": ", what, ": ", error.message())};
  };

  tcp::resolver::results_type endpoints;
  resolver.async_resolve(
      host_, port_, [&](Code code, tcp::resolver::results_type found) { error = code, endpoints = std::move(found); });
  if (!wait()) return failed("cannot find the host");
  stream.async_connect(endpoints, [&](Code code, const tcp::endpoint&) { error = code; });
  if (!wait()) return failed("cannot connect");

  http::request<http::string_body> request(http::verb::post, target, 11, body);
  request.set(http::field::host,
              host_.find(':') == host_.npos ? str_cat(host_, ":", port_) : str_cat("[", host_, "]:", port_));
  request.set(http::field::content_type, "application/json");
  request.set(http::field::connection, "close");
  if (!options_.api_key.empty()) request.set(http::field::authorization, "Bearer " + options_.api_key);
  request.prepare_payload();
  http::async_write(stream, request, [&](Code code, std::size_t) { error = code; });
  if (!wait()) return failed("cannot send the request");

  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(static_cast<std::uint64_t>(options_.max_bytes));
  http::async_read(stream, buffer, parser, [&](Code code, std::size_t) { error = code; });
  if (!wait()) return failed("no whole answer");
  return Reply{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

Result<std::string> RemoteModel::chat(const JsonArray& messages, const JsonObject& parameters) const {
  JsonObject body{{"model", options_.model}, {"messages", messages}};
  for (const auto& [key, value] : parameters) body[key] = value;
  const Result<Reply> answered = post(path_ + "/chat/completions", json_line(body));
  if (!answered) return Failure{answered.message()};
  const Reply& reply = answered.value();
  const Result<Json> parsed = try_parse_json(reply.body, options_.url);
  if (reply.status != 200)
    return Failure{str_cat(options_.url, ": status ", reply.status, ": ",
                           parsed ? json_excerpt(parsed.value()) : reply.body.substr(0, 200))};
  if (!parsed) return Failure{parsed.message()};
  boost::system::error_code missing;
  const Json* content = parsed.value().find_pointer("/choices/0/message/content", missing);
  if (content == nullptr || !content->is_string())
    return Failure{str_cat(options_.url, ": no text in the answer ", json_excerpt(parsed.value()))};
  return std::string(content->as_string());
}

}  // namespace hadal
