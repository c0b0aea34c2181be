#include "train/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace hadal {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78U : 0U);
    table[i] = crc;
  }
  return table;
}

template <class T>
std::string little_endian(T value) {
  std::string bytes(sizeof value, '\0');
  for (std::size_t i = 0; i < sizeof value; ++i) bytes[i] = static_cast<char>((value >> (8 * i)) & 0xFF);
  return bytes;
}

// Fields of a protocol buffer message.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string varint_field(int number, std::int64_t value) {
  return varint(static_cast<std::uint64_t>(number) << 3) + varint(static_cast<std::uint64_t>(value));
}
std::string double_field(int number, double value) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 1) + little_endian(std::bit_cast<std::uint64_t>(value));
}
std::string float_field(int number, float value) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 5) + little_endian(std::bit_cast<std::uint32_t>(value));
}
std::string bytes_field(int number, std::string_view value) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(value.size()) + std::string(value);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Event: 1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log.
std::string event_head(std::int64_t step) {
  return double_field(1, wall_time()) + (step == 0 ? "" : varint_field(2, step));
}
// Summary: 1 value. Summary.Value: 1 tag, 2 simple_value, 8 tensor, 9 metadata.
std::string summary_event(std::int64_t step, std::string_view value) {
  return event_head(step) + bytes_field(5, bytes_field(1, value));
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

std::uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8U;
}

std::string tf_record(std::string_view payload) {
  const std::string length = little_endian(static_cast<std::uint64_t>(payload.size()));
  return length + little_endian(masked_crc32c(length)) + std::string(payload) + little_endian(masked_crc32c(payload));
}

EventFile::EventFile(const std::filesystem::path& folder, std::optional<std::int64_t> resumed_step) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::filesystem::create_directories(folder);
  path_ = folder / fmt::format("events.out.tfevents.{:.0f}.{}.{}", std::floor(wall_time()), host.data(), ::getpid());
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  HADAL_CHECK(fd_ >= 0, path_.string(), ": cannot be opened: ", std::strerror(errno));
  append(event_head(0) + bytes_field(3, "brain.Event:2"));
  // SessionLog: 1 status, START = 1; TensorBoard drops events of earlier files from this step on.
  if (resumed_step) append(event_head(*resumed_step + 1) + bytes_field(7, varint_field(1, 1)));
}

EventFile::~EventFile() {
  ::close(fd_);
}

void EventFile::scalar(std::string_view tag, std::int64_t step, double value) {
  if (std::isnan(value)) return;
  append(summary_event(step, bytes_field(1, tag) + float_field(2, static_cast<float>(value))));
}

void EventFile::text(std::string_view tag, std::int64_t step, std::string_view value) {
  // TensorProto: 1 dtype (DT_STRING = 7), 2 tensor_shape {2 dim {1 size}}, 8 string_val.
  const std::string shape = bytes_field(2, varint_field(1, 1));
  const std::string tensor = varint_field(1, 7) + bytes_field(2, shape) + bytes_field(8, value);
  // SummaryMetadata: 1 plugin_data {1 plugin_name}.
  const std::string metadata = bytes_field(1, bytes_field(1, "text"));
  append(summary_event(step, bytes_field(1, tag) + bytes_field(8, tensor) + bytes_field(9, metadata)));
}

void EventFile::append(std::string_view event) {
  const std::string record = tf_record(event);
  const ssize_t written = ::write(fd_, record.data(), record.size());
  HADAL_CHECK(written == static_cast<ssize_t>(record.size()), path_.string(),
              ": cannot be written: ", written < 0 ? std::strerror(errno) : "disk full");
}

}  // namespace hadal
