#include "train/event_file.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

template <class T>
T load(std::string_view& bytes) {
  T value;
  HADAL_CHECK(bytes.size() >= sizeof value, "too short");
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

// Records of a TFRecord file; both checksums are checked.
std::vector<std::string> read_records(std::string_view bytes) {
  std::vector<std::string> records;
  while (!bytes.empty()) {
    const std::string_view head = bytes.substr(0, 8);
    const auto length = load<std::uint64_t>(bytes);
    EXPECT_EQ(load<std::uint32_t>(bytes), masked_crc32c(head));
    records.emplace_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
    EXPECT_EQ(load<std::uint32_t>(bytes), masked_crc32c(records.back()));
  }
  return records;
}

std::uint64_t read_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = load<std::uint8_t>(bytes);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

// Fields of one protocol buffer message, by number, as raw bytes.
using Message = std::map<int, std::string>;
Message read_message(std::string_view bytes) {
  Message fields;
  while (!bytes.empty()) {
    const std::uint64_t key = read_varint(bytes);
    std::string_view before = bytes;
    std::size_t skip = 0;
    switch (key & 7) {
      case 0:
        read_varint(bytes);
        break;
      case 1:
        skip = 8;
        break;
      case 2:
        skip = read_varint(bytes);
        before = bytes;
        break;
      case 5:
        skip = 4;
        break;
      default:
        ADD_FAILURE() << "wire type " << (key & 7);
        return fields;
    }
    bytes.remove_prefix(skip);
    fields[static_cast<int>(key >> 3)] = std::string(before.substr(0, before.size() - bytes.size()));
  }
  return fields;
}

std::uint64_t number(std::string_view bytes) {
  return read_varint(bytes);
}

// RFC 3720, B.4.
TEST(EventFile, Crc32cVectors) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  std::string ascending(32, '\0');
  for (int i = 0; i < 32; ++i) ascending[static_cast<std::size_t>(i)] = static_cast<char>(i);
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
  EXPECT_EQ(crc32c(std::string(ascending.rbegin(), ascending.rend())), 0x113FDB5CU);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(EventFile, RecordFraming) {
  const std::string record = tf_record("abc");
  EXPECT_EQ(record.size(), 8 + 4 + 3 + 4u);
  EXPECT_EQ(record.substr(0, 8), std::string("\x03\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "abc");
  EXPECT_EQ(read_records(record + tf_record("")), (std::vector<std::string>{"abc", ""}));
}

TEST(EventFile, ScalarsAndTextsParseBack) {
  const TempDir folder;
  std::filesystem::path path;
  {
    EventFile file(folder.path(), 41);
    file.scalar("train/loss", 300, 2.5);
    file.scalar("train/nan", 300, std::nan(""));
    file.text("samples/0", 301, "Once upon a time");
    path = file.path();
  }
  EXPECT_TRUE(path.filename().string().starts_with("events.out.tfevents.1")) << path;
  const std::vector<std::string> records = read_records(read_file(path));
  ASSERT_EQ(records.size(), 4u);

  const Message version = read_message(records[0]);
  EXPECT_EQ(version.at(3), "brain.Event:2");
  double wall = 0;
  std::memcpy(&wall, version.at(1).data(), 8);
  EXPECT_GT(wall, 1.7e9);

  const Message restart = read_message(records[1]);
  EXPECT_EQ(number(restart.at(2)), 42u);
  EXPECT_EQ(number(read_message(restart.at(7)).at(1)), 1u);

  const Message scalar = read_message(records[2]);
  EXPECT_EQ(number(scalar.at(2)), 300u);
  const Message value = read_message(read_message(scalar.at(5)).at(1));
  EXPECT_EQ(value.at(1), "train/loss");
  float loss = 0;
  std::memcpy(&loss, value.at(2).data(), 4);
  EXPECT_EQ(loss, 2.5F);

  const Message text = read_message(read_message(read_message(records[3]).at(5)).at(1));
  EXPECT_EQ(text.at(1), "samples/0");
  const Message tensor = read_message(text.at(8));
  EXPECT_EQ(number(tensor.at(1)), 7u);
  EXPECT_EQ(number(read_message(read_message(tensor.at(2)).at(2)).at(1)), 1u);
  EXPECT_EQ(tensor.at(8), "Once upon a time");
  EXPECT_EQ(read_message(read_message(text.at(9)).at(1)).at(1), "text");
}

}  // namespace
}  // namespace hadal
