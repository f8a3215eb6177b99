// SPDX-License-Identifier: MIT
#include "data/pack_part.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "kernels/require.h"
#include "runtime/atomic_file.h"

namespace convoy::data {
namespace {

constexpr std::size_t kWriteBytes = std::size_t{1} << 20;

// Of a record's members behind its checksum, what is stored, and the zeros behind it.
std::uint32_t crc_of_record(const PackRecord& record, std::span<const std::uint8_t> stored) {
  constexpr std::uint8_t kZeros[kPackAlignment] = {};
  const std::uint64_t padding = pack_record_span(stored.size()) - sizeof record - stored.size();
  std::uint32_t crc = crc_of(bytes_of(record).subspan(sizeof record.crc));
  crc = crc_of(stored, crc);
  return crc_of(std::span(kZeros).first(padding), crc);
}

void append_to(std::vector<std::uint8_t>& bytes, std::span<const std::uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

std::span<const std::uint8_t> bytes_of_text(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

PackPart::PackPart(std::filesystem::path path, const PackHeader& header,
                   const std::function<bool(const PackRecord&)>& same)
    : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ < 0) fail_io("create");
  try {
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      fail_usage("{}: another process is writing it", path_.string());
    }
    take_over(header, same);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

PackPart::~PackPart() { ::close(descriptor_); }

void PackPart::fail_io(const char* what) const {
  fail("{}: could not {} it after {} bytes: {}", path_.string(), what, bytes_,
       std::strerror(errno));
}

bool PackPart::read(std::uint64_t offset, std::span<std::uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io("read");
    if (got == 0) return false;
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

void PackPart::take_over(const PackHeader& header,
                         const std::function<bool(const PackRecord&)>& same) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail_io("examine");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::uint8_t> found(sizeof header);
  const bool whole = size >= sizeof header && read(0, found);
  if (whole && std::memcmp(found.data(), &header, sizeof header) == 0) {
    bytes_ = sizeof header;
    while (take_record(header, size, same)) continue;
  } else if (whole && std::memcmp(found.data(), kPackMagic.data(), kPackMagic.size()) == 0) {
    fail_usage("{}: begun with other options or other samples: give those again, or remove it",
               path_.string());
  } else if (size > 0 && whole) {
    fail_usage("{}: expected an unfinished pack, found another file: remove it", path_.string());
  }
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) fail_io("cut");
  if (::lseek(descriptor_, 0, SEEK_END) < 0) fail_io("seek in");
  if (bytes_ == 0) put(bytes_of(header));
}

bool PackPart::take_record(const PackHeader& header, std::uint64_t size,
                           const std::function<bool(const PackRecord&)>& same) {
  std::vector<std::uint8_t> bytes(sizeof(PackRecord));
  if (size - bytes_ < sizeof(PackRecord) || !read(bytes_, bytes)) return false;
  const auto record = read_as<PackRecord>(bytes, 0);
  const std::uint64_t before = positions_.empty() ? 0 : positions_.back() + 1;
  if (record.bytes > size - bytes_ - sizeof record || record.position < before ||
      record.position >= header.planned) {
    return false;
  }
  bytes.resize(pack_record_span(record.bytes));
  if (!read(bytes_, bytes)) return false;
  if (crc_of(std::span(bytes).subspan(sizeof record.crc)) != record.crc || !same(record)) {
    return false;
  }
  remember(record);
  bytes_ += bytes.size();
  return true;
}

void PackPart::remember(const PackRecord& record) {
  entries_.push_back({bytes_, record.bytes, 0, record.crc, record.label, record.height,
                      record.width, record.channels, 0});
  positions_.push_back(record.position);
}

void PackPart::append(std::uint64_t position, std::uint32_t label, const ImageExtent& extent,
                      std::span<const std::uint8_t> stored) {
  PackRecord record{0,
                    label,
                    stored.size(),
                    position,
                    static_cast<std::uint16_t>(extent.height),
                    static_cast<std::uint16_t>(extent.width),
                    static_cast<std::uint16_t>(extent.channels),
                    0};
  record.crc = crc_of_record(record, stored);
  remember(record);
  const std::uint64_t end = bytes_ + pack_record_span(stored.size());
  put(bytes_of(record));
  put(stored);
  put(std::vector<std::uint8_t>(end - bytes_));
}

void PackPart::put(std::span<const std::uint8_t> bytes) {
  append_to(waiting_, bytes);
  bytes_ += bytes.size();
  if (waiting_.size() >= kWriteBytes) flush();
}

void PackPart::flush() {
  std::span<const std::uint8_t> left(waiting_);
  while (!left.empty()) {
    const ssize_t written = ::write(descriptor_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io("write");
    left = left.subspan(static_cast<std::size_t>(written));
  }
  waiting_.clear();
}

void PackPart::finish(const std::vector<std::string>& names, const std::vector<std::string>& texts,
                      const std::filesystem::path& output) {
  PackFooter footer{};
  footer.records = entries_.size();
  footer.index_offset = bytes_;
  footer.texts = texts.size();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].name_end = footer.name_bytes += names[i].size();
  }
  std::vector<std::uint8_t> index;
  for (const PackEntry& entry : entries_) append_to(index, bytes_of(entry));
  for (const std::string& name : names) append_to(index, bytes_of_text(name));
  for (const std::string& text : texts) {
    append_to(index, bytes_of(static_cast<std::uint32_t>(text.size())));
  }
  for (const std::string& text : texts) append_to(index, bytes_of_text(text));
  footer.index_bytes = index.size();
  footer.file_bytes = bytes_ + index.size() + sizeof footer;
  footer.index_crc = crc_of(index);
  footer.crc = crc_before(footer, offsetof(PackFooter, crc));
  kPackEnd.copy(footer.magic, sizeof footer.magic);
  put(index);
  put(bytes_of(footer));
  flush();
  if (::fsync(descriptor_) != 0) fail_io("flush");
  if (::rename(path_.c_str(), output.c_str()) != 0) fail_io("rename");
  sync_folder(output.has_parent_path() ? output.parent_path() : std::filesystem::path("."));
}

}  // namespace convoy::data
