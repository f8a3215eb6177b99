// SPDX-License-Identifier: MIT
#include "data/pack_view.h"

#include <cstddef>
#include <utility>

#include "data/names.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

std::string_view magic_of(const char (&magic)[8]) { return {magic, sizeof magic}; }

bool is_zero(std::span<const std::uint32_t> words) {
  for (const std::uint32_t word : words) {
    if (word != 0) return false;
  }
  return true;
}

}  // namespace

PackView::PackView(std::span<const std::uint8_t> file, std::string name)
    : file_(file), name_(std::move(name)) {
  if (file.size() < sizeof(PackHeader) + sizeof(PackFooter)) {
    fail_data("{}: a pack expects at least {} bytes, found {}", name_,
              sizeof(PackHeader) + sizeof(PackFooter), file.size());
  }
  const auto header = read_as<PackHeader>(file, 0);
  if (magic_of(header.magic) != kPackMagic) {
    fail_data("{}: offset 0: expected {}, found '{}': this is no pack", name_, kPackMagic,
              in_ascii(magic_of(header.magic)));
  }
  const std::uint32_t crc = crc_before(header, offsetof(PackHeader, crc));
  if (crc != header.crc) {
    fail_data("{}: offset 0: the header expects CRC-32C {:08x}, found {:08x}", name_, header.crc,
              crc);
  }
  if (header.version != kPackVersion) {
    fail_data("{}: offset 8: expected version {} of the format, found {}", name_, kPackVersion,
              header.version);
  }
  if ((header.channels != 1 && header.channels != 3) || !is_zero(header.zero)) {
    fail_data("{}: offset 12: expected 1 or 3 channels, found {}", name_, header.channels);
  }
  extent_.channels = header.channels;
  read_footer();
  if (footer_.records > header.planned) {
    fail_data("{}: expected at most {} records, found {}", name_, header.planned, footer_.records);
  }
  read_index();
}

void PackView::read_footer() {
  const std::uint64_t at = file_.size() - sizeof(PackFooter);
  footer_ = read_as<PackFooter>(file_, at);
  if (magic_of(footer_.magic) != kPackEnd) {
    fail_data("{}: offset {}: expected {} at the end, found '{}': the file was cut off", name_,
              file_.size() - kPackEnd.size(), kPackEnd, in_ascii(magic_of(footer_.magic)));
  }
  const std::uint32_t crc = crc_before(footer_, offsetof(PackFooter, crc));
  if (crc != footer_.crc) {
    fail_data("{}: offset {}: the footer expects CRC-32C {:08x}, found {:08x}", name_, at,
              footer_.crc, crc);
  }
  if (footer_.file_bytes != file_.size()) {
    fail_data("{}: offset {}: expected a file of {} bytes, found {}", name_, at, footer_.file_bytes,
              file_.size());
  }
  if (footer_.index_offset < sizeof(PackHeader) || footer_.index_offset > at ||
      footer_.index_bytes != at - footer_.index_offset) {
    fail_data("{}: offset {}: expected an index that ends at {}, found {} bytes at {}", name_, at,
              at, footer_.index_bytes, footer_.index_offset);
  }
}

void PackView::read_index() {
  const std::uint64_t at = footer_.index_offset, bytes = footer_.index_bytes;
  const std::uint32_t crc = crc_of(file_.subspan(at, bytes));
  if (crc != footer_.index_crc) {
    fail_data("{}: offset {}: the index expects CRC-32C {:08x}, found {:08x}", name_, at,
              footer_.index_crc, crc);
  }
  // Divided, not multiplied: a product could overflow.
  std::uint64_t room = bytes;
  const bool fits = footer_.records >= 1 && footer_.records <= room / sizeof(PackEntry) &&
                    footer_.name_bytes <= (room -= footer_.records * sizeof(PackEntry)) &&
                    footer_.texts > kPackTexts &&
                    footer_.texts <= (room -= footer_.name_bytes) / sizeof(std::uint32_t);
  if (!fits) {
    fail_data("{}: offset {}: {} records, {} bytes of names and {} texts expect more than {} bytes",
              name_, at, footer_.records, footer_.name_bytes, footer_.texts, bytes);
  }
  read_texts(at + bytes - room);
  std::uint64_t offset = sizeof(PackHeader), name_start = 0;
  for (std::uint64_t i = 0; i < footer_.records; ++i) {
    check_entry(i, offset, name_start);
    const PackEntry e = entry(i);
    offset += pack_record_span(e.bytes);
    name_start = e.name_end;
    const ImageExtent own{e.height, e.width, e.channels};
    if (i == 0 && own.count() > 0) extent_ = own;
    if (own != extent_) extent_ = {0, 0, extent_.channels};
  }
  if (offset != at || name_start != footer_.name_bytes) {
    fail_data("{}: offset {}: expected records up to {} and {} bytes of names, found {} and {}",
              name_, at, at, footer_.name_bytes, offset, name_start);
  }
}

void PackView::check_entry(std::uint64_t index, std::uint64_t expected_offset,
                           std::uint64_t name_start) {
  const PackEntry e = entry(index);
  const std::uint64_t end = footer_.index_offset;
  if (e.offset != expected_offset || e.offset > end || end - e.offset < sizeof(PackRecord) ||
      e.bytes > end - e.offset - sizeof(PackRecord)) {
    fail_data("{}: record {}: expected to start at {} and to end before {}, found {} bytes at {}",
              name_, index, expected_offset, end, e.bytes, e.offset);
  }
  if (e.name_end < name_start || e.name_end > footer_.name_bytes) {
    fail_data("{}: record {}: its name expects to end between {} and {}, found {}", name_, index,
              name_start, footer_.name_bytes, e.name_end);
  }
  const std::string_view sample =
      text(footer_.index_offset + footer_.records * sizeof(PackEntry) + name_start,
           e.name_end - name_start);
  if (const std::string fault = fault_of_name(sample); !fault.empty()) {
    fail_data("{}: record {}: its name expects a path below a folder, found '{}', which {}", name_,
              index, in_ascii(sample), fault);
  }
  if (e.label >= class_names_.size()) {
    fail_data("{}: record {} ({}): label expects 0 to {}, found {}", name_, index, sample,
              class_names_.size() - 1, e.label);
  }
  const ImageExtent extent{e.height, e.width, e.channels};
  const bool file = extent == ImageExtent{};
  const bool pixels = extent.count() > 0 && extent.channels == extent_.channels &&
                      e.bytes == static_cast<std::uint64_t>(extent.count());
  if ((!file && !pixels) || e.zero != 0) {
    fail_data(
        "{}: record {} ({}): expected an image file or pixels of {} channels, found {} in {} "
        "bytes",
        name_, index, sample, extent_.channels, extent, e.bytes);
  }
}

void PackView::read_texts(std::uint64_t offset) {
  const std::uint64_t end = footer_.index_offset + footer_.index_bytes;
  std::uint64_t at = offset + footer_.texts * sizeof(std::uint32_t);
  for (std::uint64_t i = 0; i < footer_.texts; ++i) {
    const auto bytes = read_as<std::uint32_t>(file_, offset + i * sizeof(std::uint32_t));
    if (bytes > end - at) {
      fail_data("{}: text {}: expected at most {} bytes, found {}", name_, i, end - at, bytes);
    }
    const std::string found(text(at, bytes));
    at += bytes;
    const std::string fault = i < kPackTexts && found.empty() ? "" : fault_of_name(found);
    if (!fault.empty()) {
      fail_data("{}: text {}: expected a plain name, found '{}', which {}", name_, i,
                in_ascii(found), fault);
    }
    (i < kPackTexts ? texts_ : class_names_).push_back(found);
  }
  if (at != end) {
    fail_data("{}: offset {}: expected texts up to {}, they end there", name_, at, end);
  }
}

PackEntry PackView::entry(std::uint64_t index) const {
  return read_as<PackEntry>(file_, footer_.index_offset + index * sizeof(PackEntry));
}

PackEntry PackView::entry_at(std::int64_t index) const {
  require(index >= 0 && index < size(), "{}: index expects 0 to {}, found {}", name_, size() - 1,
          index);
  return entry(static_cast<std::uint64_t>(index));
}

std::string_view PackView::text(std::uint64_t offset, std::uint64_t bytes) const {
  return {reinterpret_cast<const char*>(file_.data()) + offset, bytes};
}

std::int32_t PackView::label(std::int64_t index) const {
  return static_cast<std::int32_t>(entry_at(index).label);
}

std::string_view PackView::sample_name(std::int64_t index) const {
  const std::uint64_t end = entry_at(index).name_end;
  const std::uint64_t start = index == 0 ? 0 : entry_at(index - 1).name_end;
  return text(footer_.index_offset + footer_.records * sizeof(PackEntry) + start, end - start);
}

Stored PackView::stored(std::int64_t index) const {
  const PackEntry e = entry_at(index);
  return {file_.subspan(e.offset + sizeof(PackRecord), e.bytes), {e.height, e.width, e.channels}};
}

void PackView::check_record(std::int64_t index) const {
  const PackEntry e = entry_at(index);
  const auto record = read_as<PackRecord>(file_, e.offset);
  const std::uint32_t crc = crc_of(
      file_.subspan(e.offset + sizeof record.crc, pack_record_span(e.bytes) - sizeof record.crc));
  const bool same = record.crc == e.crc && record.label == e.label && record.bytes == e.bytes &&
                    record.height == e.height && record.width == e.width &&
                    record.channels == e.channels && record.zero == 0;
  if (crc == e.crc && same) return;
  fail_data(
      "{}: record {} ({}) at offset {}: expected CRC-32C {:08x}, found {:08x}{}: the file is "
      "damaged",
      name_, index, sample_name(index), e.offset, e.crc, crc,
      same ? "" : " and other numbers than the index has");
}

}  // namespace convoy::data
