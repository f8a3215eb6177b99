// SPDX-License-Identifier: MIT
#include "tests/fuzz/targets.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "apps/trainer/checkpoint_json.h"
#include "apps/trainer/config_text.h"
#include "apps/trainer/tuning_text.h"
#include "data/cifar.h"
#include "data/idx.h"
#include "data/pack_view.h"
#include "data/sample_decoder.h"
#include "dist/store_session.h"
#include "kernels/require.h"
#include "nn/safetensors_header.h"

namespace convoy::fuzz {
namespace {

using data::Damage;
using data::DecodeLimits;

// Small enough for many inputs a second.
DecodeLimits limits(Damage damage) {
  return {.max_pixels = 1 << 18, .max_decoder_bytes = 1 << 26, .max_scans = 20, .damage = damage};
}

// Anything else that is thrown is a finding, and so are words without an end.
template <class F>
void expect_errors_of(ErrorKind kind, F&& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.kind() != kind) throw;
    if (std::strlen(error.what()) > 2000) throw std::logic_error("a long error");
  }
}
template <class F>
void expect_data_errors(F&& read) {
  expect_errors_of(ErrorKind::data, read);
}

void decode(Bytes file) {
  for (const Damage damage : {Damage::refuse, Damage::accept}) {
    expect_data_errors([&] {
      const data::Image image = data::decode_image(file, "input", limits(damage));
      if (std::ssize(image.pixels) != image.extent.count()) throw std::logic_error("extent");
    });
  }
}

std::uint32_t be32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

// PNG chunks: length, type, data, CRC-32 of the latter two.
void put_png_checksums_right(std::vector<std::uint8_t>& file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = be32(file, at);
    if (length > file.size() - at - 12) return;
    const auto crc =
        static_cast<std::uint32_t>(crc32(0, &file[at + 4], static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) {
      file[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    }
    at += length + 12;
  }
}

template <class T>
void put(std::vector<std::uint8_t>& file, std::size_t at, const T& value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

void put_pack_checksums_right(std::vector<std::uint8_t>& file) {
  using data::PackFooter;
  using data::PackHeader;
  if (file.size() < sizeof(PackHeader) + sizeof(PackFooter)) return;
  auto header = data::read_as<PackHeader>(file, 0);
  header.crc = data::crc_before(header, offsetof(PackHeader, crc));
  put(file, 0, header);
  const std::size_t at = file.size() - sizeof(PackFooter);
  auto footer = data::read_as<PackFooter>(file, at);
  footer.file_bytes = file.size();
  if (footer.index_offset <= at) {
    footer.index_crc = data::crc_of(std::span(file).subspan(
        footer.index_offset, at - static_cast<std::size_t>(footer.index_offset)));
  }
  footer.crc = data::crc_before(footer, offsetof(PackFooter, crc));
  put(file, at, footer);
}

// As the server does: bytes come in pieces, answers are taken one by one.
void talk(dist::StoreSession& session, std::string_view bytes, std::size_t piece) {
  for (std::size_t at = 0; at < bytes.size() && !session.is_over(); at += piece) {
    session.take(bytes.substr(at, piece));
    while (const auto answer = session.answer()) {
      if (answer->size() > 5 + dist::kMaxFrameBytes) throw std::logic_error("answer");
    }
  }
  session.disconnected();
}

}  // namespace

// What part is wanted comes from the input's end, where a file's own bytes matter least.
void jpeg(Bytes file) {
  static data::SampleDecoder decoders[] = {data::SampleDecoder(limits(Damage::refuse)),
                                           data::SampleDecoder(limits(Damage::accept))};
  const auto choice = [&](std::size_t i, std::int64_t bound) {
    return file.size() > i ? file[file.size() - 1 - i] * bound / 256 : 0;
  };
  std::vector<std::uint8_t> out(16 * 16 * 3);
  for (data::SampleDecoder& decoder : decoders) {
    expect_data_errors([&] {
      const data::ImageExtent e = decoder.open({.bytes = file}, "input");
      data::Box box{choice(0, e.height), choice(1, e.width), 0, 0};
      box.height = 1 + choice(2, e.height - box.y);
      box.width = 1 + choice(3, e.width - box.x);
      const auto scaling = choice(4, 2) == 0 ? data::Scaling::exact : data::Scaling::dct;
      decoder.frame({box, 16, 16, 0, 0}, {16, 16, 3}, scaling, out.data());
    });
  }
  decode(file);
}

void png(Bytes file) {
  std::vector<std::uint8_t> changed(file.begin(), file.end());
  put_png_checksums_right(changed);
  decode(changed);
}

void bitmap(Bytes file) { decode(file); }

void idx(Bytes file) {
  expect_data_errors([&] { data::parse_idx(file, "input"); });
}

void cifar(Bytes file) {
  using data::CifarVariant;
  for (const CifarVariant v :
       {CifarVariant::automatic, CifarVariant::cifar10, CifarVariant::cifar100}) {
    expect_data_errors([&] {
      data::MemorySamples samples;
      data::append_cifar(file, "input", v, samples);
    });
  }
}

void pack(Bytes file) {
  std::vector<std::uint8_t> changed(file.begin(), file.end());
  put_pack_checksums_right(changed);
  expect_data_errors([&] {
    const data::PackView view(changed, "input");
    std::size_t sum = 0;  // touches all that is pointed at
    for (std::int64_t i = 0; i < view.size(); ++i) {
      for (const char c : view.sample_name(i)) sum += static_cast<unsigned char>(c);
      for (const std::uint8_t b : view.stored(i).bytes) sum += b;
      if (view.label(i) < 0 || view.label(i) >= std::ssize(view.class_names())) {
        throw std::logic_error("label");
      }
      expect_data_errors([&] { view.check_record(i); });
    }
    if (sum == ~std::size_t{0}) throw std::logic_error("sum");
  });
}

void safetensors(Bytes file) {
  for (const auto strictness : {nn::Strictness::lenient, nn::Strictness::strict}) {
    expect_data_errors([&] { nn::parse_safetensors(std::as_bytes(file), "input", strictness); });
  }
}

// What has been taken can be written, and is then taken as it was.
void json(Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  expect_data_errors([&] {
    const std::string written = apps::state_text(apps::parse_state(text, "input"));
    if (apps::state_text(apps::parse_state(written, "input")) != written) {
      throw std::logic_error("state");
    }
  });
  expect_data_errors([&] { apps::parse_manifest(text, "input"); });
  expect_data_errors([&] { apps::parse_tuning(text, "input"); });
  expect_errors_of(ErrorKind::usage, [&] {
    apps::TrainConfig config;
    apps::take_config(text, "input", config);
  });
}

void store(Bytes stream) {
  const std::string_view bytes(reinterpret_cast<const char*>(stream.data()), stream.size());
  dist::StoreValues values(3, "job");
  dist::StoreSession stranger(values), rank(values);
  talk(stranger, bytes, 7);
  rank.take(dist::hello_frame({2, 3, "job"}));
  rank.answer();
  talk(rank, bytes, 1000);
  expect_data_errors([&] {
    dist::FrameReader answers(dist::kMaxFrameBytes);
    answers.take(bytes);
    while (answers.next()) {
    }
  });
}

}  // namespace convoy::fuzz
