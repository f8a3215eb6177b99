// SPDX-License-Identifier: MIT
#include "nn/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "nn/in_quotes.h"

namespace convoy::nn {
namespace {

SafetensorsHeader read_header(const InputFile& file, Strictness strictness) {
  std::vector<std::byte> first(
      static_cast<std::size_t>(std::min<std::uint64_t>(kSniffBytes, file.size())));
  file.read(0, first);
  const std::uint64_t length = safetensors_header_bytes(first, file.size(), file.path());
  std::string json(static_cast<std::size_t>(length), '\0');
  file.read(8, std::as_writable_bytes(std::span(json)));
  SafetensorsHeader header = parse_safetensors_header(json, file.size(), file.path(), strictness);
  file.check_unchanged();
  return header;
}

// A JSON string as the reference writes it. Throws Error for a text that is not UTF-8.
std::string json_text(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("write safetensors: expected UTF-8, found {}", in_quotes(text));
  }
}

void check_tensor(const StoredTensor& t) {
  require(!t.name.empty() && t.name != "__metadata__" && t.name.size() <= kMaxNameBytes,
          "write safetensors: {} cannot name a tensor", in_quotes(t.name));
  require(t.shape.size() <= kMaxStoredRank, "write safetensors: {}: too many dimensions: {}",
          in_quotes(t.name), t.shape.size());
  std::uint64_t bits = bits_of(t.dtype);
  for (const std::uint64_t extent : t.shape) bits *= extent;
  require(bits % 8 == 0 && bits / 8 == t.bytes.size(),
          "write safetensors: {}: shape [{}] of {} expects {} bytes, found {}", in_quotes(t.name),
          fmt::join(t.shape, ", "), t.dtype, bits / 8, t.bytes.size());
}

}  // namespace

SafetensorsReader::SafetensorsReader(const std::filesystem::path& path, Strictness strictness)
    : file_(path), header_(read_header(file_, strictness)) {}

const TensorEntry& SafetensorsReader::entry(std::string_view name) const {
  const TensorEntry* found = header_.find(name);
  if (found == nullptr) fail_data("{}: expected a tensor {}, found none", path(), in_quotes(name));
  return *found;
}

void SafetensorsReader::read(const TensorEntry& entry, std::span<std::byte> bytes) const {
  require(bytes.size() == entry.bytes(),
          "read safetensors: {} expects a buffer of {} bytes, found {}", in_quotes(entry.name),
          entry.bytes(), bytes.size());
  file_.read(header_.data_begin + entry.begin, bytes);
  file_.check_unchanged();
  if (entry.dtype != StoredType::BOOL) return;
  const auto bad = std::find_if(bytes.begin(), bytes.end(),
                                [](std::byte b) { return std::to_integer<unsigned>(b) > 1; });
  if (bad != bytes.end()) {
    fail_data("{}: tensor {}: offset {}: BOOL expects 0 or 1, found {}", path(),
              in_quotes(entry.name), header_.data_begin + entry.begin + (bad - bytes.begin()),
              std::to_integer<unsigned>(*bad));
  }
}

std::vector<std::byte> SafetensorsReader::read(const TensorEntry& entry) const {
  std::vector<std::byte> bytes(static_cast<std::size_t>(entry.bytes()));
  read(entry, bytes);
  return bytes;
}

std::string encode_safetensors_header(std::span<const StoredTensor> tensors,
                                      const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      json +=
          fmt::format("{}{}:{}", json.back() == '{' ? "" : ",", json_text(key), json_text(value));
    }
    json += "}";
  }
  std::uint64_t at = 0;
  for (const StoredTensor& t : tensors) {
    json += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        json.size() == 1 ? "" : ",", json_text(t.name), t.dtype,
                        fmt::join(t.shape, ","), at, at + t.bytes.size());
    at += t.bytes.size();
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  require(json.size() <= kMaxHeaderBytes,
          "write safetensors: the header expects at most {} bytes, found {}", kMaxHeaderBytes,
          json.size());
  std::string length;
  for (int i = 0; i < 8; ++i) length += static_cast<char>(json.size() >> 8 * i & 0xff);
  return length + json;
}

WrittenFile write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                              const std::map<std::string, std::string>& metadata) {
  for (const StoredTensor& t : tensors) check_tensor(t);
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  std::vector<std::string_view> names;
  for (const StoredTensor& t : tensors) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  require(twice == names.end(), "write safetensors: the name {} stands twice",
          twice == names.end() ? "" : in_quotes(*twice));
  const std::string header = encode_safetensors_header(tensors, metadata);
  std::uint64_t whole = header.size();
  for (const StoredTensor& t : tensors) whole += t.bytes.size();
  AtomicFile file(path, whole);
  file.write(header);
  for (const StoredTensor& t : tensors) file.write(t.bytes);
  file.commit();
  return {file.size(), file.crc32c()};
}

}  // namespace convoy::nn
