#include "formats/packed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::vector<std::byte> bytes_of_matrix(const PackedEntry& e, index_t matrix) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(e.bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(e.name.size() * 31 + static_cast<std::size_t>(matrix) * 7 + i);
  return bytes;
}

std::vector<PackedEntry> some_entries() {
  return {{.name = "a", .num_matrices = 3, .bytes = 64}, {.name = "b\"c", .num_matrices = 1, .bytes = 4096 * 2 + 128}};
}

void write_some(const fs::path& path) {
  PackedFileWriter writer(path, "the \"key\"", some_entries());
  for (const PackedEntry& e : some_entries())
    for (index_t i = e.num_matrices; i-- > 0;) writer.write(e.name, i, bytes_of_matrix(e, i));
  EXPECT_FALSE(fs::exists(path)) << "it appears with commit()";
  writer.commit();
}

std::string content(const fs::path& path) {
  return read_file(path);
}

TEST(PackedFile, GivesBackWhatWasWritten) {
  const TempDir dir;
  write_some(dir / "w");
  PackedFile file(dir / "w");
  EXPECT_EQ(file.key(), "the \"key\"");
  EXPECT_EQ(file.find("d"), nullptr);
  file.map();
  for (const PackedEntry& want : some_entries()) {
    const PackedEntry& e = *file.find(want.name);
    ASSERT_EQ(e.num_matrices, want.num_matrices);
    ASSERT_EQ(e.bytes, want.bytes);
    // Read at a page and beside one.
    std::vector<std::byte> memory(static_cast<std::size_t>(e.stride() + 2 * PackedEntry::kPage));
    std::byte* page = memory.data() + PackedEntry::kPage -
                      reinterpret_cast<std::uintptr_t>(memory.data()) % static_cast<std::uintptr_t>(PackedEntry::kPage);
    for (index_t i = 0; i < e.num_matrices; ++i) {
      const std::vector<std::byte> bytes = bytes_of_matrix(want, i);
      for (std::byte* to : {page, page + 64}) {
        file.read(e, i, to);
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), to));
      }
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), file.matrix(e, i)));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.matrix(e, i)) % PackedEntry::kPage, 0U);
    }
  }
}

TEST(PackedFile, RefusesEveryTruncationAndEveryChangedHeader) {
  const TempDir dir;
  write_some(dir / "w");
  const std::string whole = content(dir / "w");
  ASSERT_EQ(whole.size() % 4096, 0U);
  const auto refused = [&](const std::string& bytes) {
    std::ofstream(dir / "broken", std::ios::binary | std::ios::trunc) << bytes;
    EXPECT_THROW(PackedFile(dir / "broken"), Error);
  };
  const std::size_t header = whole.find("]}") + 2;
  for (std::size_t n = 0; n < whole.size(); n += n < header + 40 ? 1 : 509) refused(whole.substr(0, n));
  refused(whole + std::string(4096, '\0'));
  for (std::size_t i = 0; i < header; ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x11);
    refused(bytes);
  }
}

TEST(PackedFile, NoticesChangedWeightsAndAFileThatIsCutShort) {
  const TempDir dir;
  write_some(dir / "w");
  const PackedFile file(dir / "w");
  const PackedEntry& b = *file.find("b\"c");
  std::vector<std::byte> to(static_cast<std::size_t>(b.stride()));
  {
    std::fstream change(dir / "w", std::ios::binary | std::ios::in | std::ios::out);
    change.seekp(b.offset + 5000);
    change.put('x');
  }
  EXPECT_THAT(error_of([&] { file.read(b, 0, to.data()); }), HasSubstr("checksum"));
  fs::resize_file(dir / "w", static_cast<std::uintmax_t>(b.offset + 100));
  EXPECT_THAT(error_of([&] { file.read(b, 0, to.data()); }), HasSubstr("cut short"));
}

TEST(PackedFileWriter, LeavesNothingWithoutCommit) {
  const TempDir dir;
  {
    const PackedFileWriter writer(dir / "w", "key", some_entries());
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
  PackedFileWriter writer(dir / "w", "key", some_entries());
  EXPECT_THROW(writer.write("a", 3, bytes_of_matrix(some_entries()[0], 3)), Error);
  EXPECT_THROW(writer.write("a", 0, bytes_of_matrix(some_entries()[1], 0)), Error);
  EXPECT_THROW(PackedFileWriter(dir / "v", "key", {{.name = "a", .num_matrices = 1, .bytes = index_t{1} << 60}}),
               Error);
}

}  // namespace
}  // namespace hadal
