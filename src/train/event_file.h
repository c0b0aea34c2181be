#pragma once
// TensorBoard event files: scalars and texts that `tensorboard --logdir runs` shows. A file is a row of TFRecords
// (length, masked CRC-32C of the length, payload, masked CRC-32C of the payload; little-endian); a payload is the
// protocol buffer Event of tensorflow/core/util/event.proto.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hadal {

/// CRC-32C (Castagnoli polynomial, reflected), as iSCSI and TFRecord use it.
std::uint32_t crc32c(std::string_view bytes);
/// TFRecord's mask over it: rotate right by 15 and add a constant.
std::uint32_t masked_crc32c(std::string_view bytes);
/// One TFRecord around a payload.
std::string tf_record(std::string_view payload);

/// Appends events to a new file events.out.tfevents.TIME.HOST.PID in `folder`. Values of NaN are left out.
class EventFile {
 public:
  /// `resumed_step`: the run continues after this step; TensorBoard then forgets later events of older files.
  explicit EventFile(const std::filesystem::path& folder, std::optional<std::int64_t> resumed_step = std::nullopt);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalar(std::string_view tag, std::int64_t step, double value);
  /// Shown as Markdown in the Text tab.
  void text(std::string_view tag, std::int64_t step, std::string_view value);

  const std::filesystem::path& path() const { return path_; }

 private:
  void append(std::string_view event);

  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace hadal
