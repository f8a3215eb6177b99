// SPDX-License-Identifier: MIT
#include "nn/safetensors_json.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "nn/in_quotes.h"

namespace convoy::nn {
namespace {

using Json = nlohmann::json;

// Receives the JSON as nlohmann's parser reads it, so a key that comes twice is seen. `place_` is
// where the next value belongs; each callback that does not fit there is an error, which also
// bounds the nesting.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(std::string_view file, SafetensorsHeader& header) : file_(file), header_(header) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool value) override { return unexpected(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return unexpected(value == 0 ? "the number -0" : fmt::format("the number {}", value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return unexpected(fmt::format("the number {}", in_quotes(text)));
  }
  bool binary(binary_t&) override { return unexpected("binary"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) {
      return unexpected(fmt::format("the number {}", value));
    }
    if (value > kMaxStoredNumber) {
      fail_data("{}: expected numbers up to {} (2^48 - 1), found {}", here(), kMaxStoredNumber,
                value);
    }
    if (place_ == Place::shape) {
      if (entry_.shape.size() == kMaxStoredRank) {
        fail_data("{}: shape: expected at most {} dimensions, found more", here(), kMaxStoredRank);
      }
      entry_.shape.push_back(value);
    } else {
      if (offsets_ == 2) fail_data("{}: data_offsets: expected two numbers, found more", here());
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata) {
      header_.metadata[key_] = std::move(value);
    } else if (place_ == Place::tensor && key_ == "dtype") {
      const auto type = stored_type(value);
      if (!type) fail_data("{}: unknown dtype {}", here(), in_quotes(value));
      entry_.dtype = *type;
    } else {
      return unexpected(fmt::format("the string {}", in_quotes(value)));
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::start) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = key_ == "__metadata__" ? Place::metadata : Place::tensor;
      entry_ = {};
      entry_.name = key_;
      fields_ = offsets_ = 0;
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool key(string_t& value) override {
    if (value.size() > kMaxNameBytes) {
      fail_data("{}: expected keys of at most {} bytes, found {} bytes: {}", here(), kMaxNameBytes,
                value.size(), in_quotes(value));
    }
    if (place_ == Place::top) {
      top_key(value);
    } else if (place_ == Place::tensor) {
      field(value);
    } else if (header_.metadata.contains(value)) {
      fail_data("{}: duplicate key {}", here(), in_quotes(value));
    }
    key_ = std::move(value);
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::tensor && key_ == "shape") {
      place_ = Place::shape;
    } else if (place_ == Place::tensor && key_ == "data_offsets") {
      place_ = Place::offsets;
    } else {
      return unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets && offsets_ != 2) {
      fail_data("{}: data_offsets: expected two numbers, found {}", here(), offsets_);
    }
    place_ = Place::tensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) {
      for (std::size_t i = 0; i < kFields.size(); ++i) {
        if (!(fields_ & (1u << i))) fail_data("{}: missing \"{}\"", here(), kFields[i]);
      }
      header_.tensors.push_back(std::move(entry_));
    }
    place_ = Place::top;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The parser's own words, from the part after its position in lines and columns.
    std::string_view why = error.what();
    if (const auto at = why.find(": "); at != why.npos) why.remove_prefix(at + 2);
    fail_data("{}: header is not JSON at offset {}: {}", file_,
              kLengthBytes + (position > 0 ? position - 1 : 0), in_quotes(why));
  }

 private:
  enum class Place : std::uint8_t { start, top, metadata, tensor, shape, offsets };
  static constexpr std::array<const char*, 3> kFields{"dtype", "shape", "data_offsets"};

  void top_key(const std::string& name) {
    if (name == "__metadata__") {
      if (has_metadata_) fail_data("{}: duplicate key \"__metadata__\"", file_);
      has_metadata_ = true;
      return;
    }
    if (name.empty()) fail_data("{}: a tensor's name is empty", file_);
    if (header_.tensors.size() == kMaxTensors) {
      fail_data("{}: expected at most {} tensors, found more", file_, kMaxTensors);
    }
  }

  void field(const std::string& name) {
    const auto at = std::find(kFields.begin(), kFields.end(), name);
    if (at == kFields.end()) {
      fail_data("{}: expected only dtype, shape and data_offsets, found {}", here(),
                in_quotes(name));
    }
    const unsigned bit = 1u << (at - kFields.begin());
    if (fields_ & bit) fail_data("{}: duplicate key {}", here(), in_quotes(name));
    fields_ |= bit;
  }

  bool unexpected(const std::string& found) const {
    const char* expected = "";
    switch (place_) {
      case Place::start:
        expected = "header: expected one JSON object";
        break;
      case Place::top:
        expected = "expected an object";
        break;
      case Place::metadata:
        expected = "__metadata__: expected strings only";
        break;
      case Place::tensor:
        expected = key_ == "dtype"   ? "dtype: expected a string"
                   : key_ == "shape" ? "shape: expected a list of numbers"
                                     : "data_offsets: expected a list of two numbers";
        break;
      case Place::shape:
        expected = "shape: expected non-negative integers";
        break;
      case Place::offsets:
        expected = "data_offsets: expected non-negative integers";
        break;
    }
    fail_data("{}: {}, found {}", here(), expected, found);
  }

  // The file, and the tensor that is being read.
  std::string here() const {
    if (place_ == Place::start) return std::string(file_);
    const std::string& name = place_ == Place::top ? key_ : entry_.name;
    return name.empty() ? std::string(file_) : fmt::format("{}: tensor {}", file_, in_quotes(name));
  }

  std::string_view file_;
  SafetensorsHeader& header_;
  Place place_ = Place::start;
  std::string key_;
  TensorEntry entry_;
  unsigned fields_ = 0, offsets_ = 0;
  bool has_metadata_ = false;
};

}  // namespace

void read_header_json(std::string_view json, std::string_view file, SafetensorsHeader& header) {
  HeaderReader reader(file, header);
  Json::sax_parse(json.begin(), json.end(), &reader);
}

}  // namespace convoy::nn
