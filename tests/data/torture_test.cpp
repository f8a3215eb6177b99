// SPDX-License-Identifier: MIT
// Odd and damaged images from the test suites of other decoders, each with what is to come of it.
#include <cmath>
#include <map>
#include <sstream>

#include "data/gzip.h"
#include "data/image.h"
#include "data/sample_decoder.h"
#include "data/sha256.h"
#include "tests/data/files.h"

namespace convoy::data {
namespace {

using Row = std::map<std::string, std::string>;

// Comma-separated values with a line of names; quotes hold commas together.
std::vector<Row> read_csv(const std::filesystem::path& path) {
  std::ifstream in(path);
  const auto cells = [](const std::string& line) {
    std::vector<std::string> out(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        out.emplace_back();
      } else if (c != '\r') {
        out.back() += c;
      }
    }
    return out;
  };
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> names = cells(line);
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    const std::vector<std::string> values = cells(line);
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i) {
      row[names[i]] = values[i];
    }
  }
  return rows;
}

// Size, channel means and, of PNG files with 8 bits, the hash of the pixels.
void expect_pixels(const Image& image, Row row, const std::string& file) {
  const bool jpeg = row["format"] == "JPEG" || row["format"] == "MPO";
  const int orientation = row["exif_orientation"].empty() ? 1 : std::stoi(row["exif_orientation"]);
  std::int64_t width = std::stoll(row["width"]), height = std::stoll(row["height"]);
  if (orientation >= 5) std::swap(width, height);
  EXPECT_EQ(image.extent, (ImageExtent{height, width, 3})) << file;
  double sum[3] = {};
  for (std::size_t i = 0; i < image.pixels.size(); ++i) sum[i % 3] += image.pixels[i];
  const char* means[3] = {"mean_r", "mean_g", "mean_b"};
  for (int c = 0; c < 3; ++c) {
    const double mean = sum[c] / (static_cast<double>(image.pixels.size()) / 3);
    EXPECT_NEAR(mean, std::stod(row[means[c]]), jpeg ? 2 : 0.6) << file;
  }
  const bool exact = row["format"] == "PNG" && orientation == 1 && row["mode"] != "I";
  if (exact) {
    Sha256 hash;
    hash.update(std::as_bytes(std::span(image.pixels)));
    EXPECT_EQ(hash.finish().substr(0, 32), row["rgb8_sha256_32"]) << file;
  }
}

TEST(Torture, EveryFileDecodesOrIsRefusedAsTheManifestSays) {
  const auto folder = testing::shared_data("torture");
  SKIP_WITHOUT(folder, "torture");
  int decoded = 0, refused = 0, damaged = 0;
  for (Row& row : read_csv(folder / "manifest.csv")) {
    const std::string file = row["folder"] + "/" + row["file"], expect = row["expect"];
    // What libjpeg reads with a warning only is damaged to us, and decodes when damage is accepted.
    const bool warned = row["djpeg"] == "ok_with_warnings";
    try {
      const Image image = read_image(folder / file);
      EXPECT_NE(expect, "error") << file;
      if (expect != "any_no_crash") expect_pixels(image, row, file);
      ++decoded;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << file;
      EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
      ++refused;
      if (expect == "decode") {
        EXPECT_TRUE(warned) << error.what();
        expect_pixels(read_image(folder / file, {.damage = Damage::accept}), row, file);
        ++damaged;
      }
    }
  }
  EXPECT_GE(decoded, 180);
  EXPECT_GE(refused, 130);
  EXPECT_LE(damaged, 4);
}

// The files of a tar archive in memory (POSIX ustar: a header block of 512 bytes, size in octal).
std::vector<std::span<const std::uint8_t>> files_of_tar(std::span<const std::uint8_t> tar) {
  std::vector<std::span<const std::uint8_t>> files;
  for (std::size_t at = 0; at + 512 <= tar.size() && tar[at] != 0;) {
    std::size_t size = 0;
    for (std::size_t i = 124; i < 135; ++i) {
      if (tar[at + i] >= '0' && tar[at + i] <= '7') size = size * 8 + (tar[at + i] - '0');
    }
    if (tar[at + 156] == '0') files.push_back(tar.subspan(at + 512, size));
    at += 512 + (size + 511) / 512 * 512;
  }
  return files;
}

std::vector<std::uint8_t> unpacked(const std::filesystem::path& archive) {
  const auto packed = read_file(archive, 1 << 24);
  GzipReader reader(packed, archive.string());
  std::vector<std::uint8_t> tar(std::size_t{1} << 26);
  tar.resize(reader.read(tar));
  return tar;
}

TEST(Torture, FuzzedFilesAreRefusedOrDecode) {
  const auto archive = testing::shared_data("torture/fuzz_corpus_zune_jpeg_png.tar.gz");
  SKIP_WITHOUT(archive, "fuzz corpus");
  const auto tar = unpacked(archive);
  const auto files = files_of_tar(tar);
  EXPECT_EQ(files.size(), 1837U + 837);
  int decoded = 0;
  for (const Damage damage : {Damage::refuse, Damage::accept}) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      try {
        decoded += decode_image(files[i], "x", {.max_pixels = 4'000'000, .damage = damage})
                       .extent.channels == 3;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data) << i;
      }
    }
  }
  EXPECT_GT(decoded, 0);
}

// Whatever the pictures before were, and however they ended.
TEST(Torture, ADecoderThatIsKeptDoesWhatAFreshOneDoes) {
  const auto archive = testing::shared_data("torture/fuzz_corpus_zune_jpeg_png.tar.gz");
  SKIP_WITHOUT(archive, "fuzz corpus");
  const auto tar = unpacked(archive);
  const DecodeLimits limits{.max_pixels = 100'000, .damage = Damage::accept};
  SampleDecoder decoder(limits);
  const auto result = [](const std::function<Image()>& decode) {
    try {
      return std::pair{decode(), std::string()};
    } catch (const Error& error) {
      return std::pair{Image(), std::string(error.what())};
    }
  };
  int decoded = 0;
  for (const auto& file : files_of_tar(tar)) {
    if (!is_jpeg(file)) continue;
    const auto fresh = result([&] { return decode_image(file, "x", limits); });
    const auto kept = result([&] {
      Image image(decoder.open({file}, "x"));
      const ImageExtent& e = image.extent;
      decoder.frame({whole(e), e.height, e.width, 0, 0}, e, Scaling::exact, image.pixels.data());
      return image;
    });
    ASSERT_EQ(kept.second, fresh.second);
    ASSERT_EQ(kept.first.pixels, fresh.first.pixels);
    decoded += fresh.second.empty();
  }
  EXPECT_GE(decoded, 100);
}

}  // namespace
}  // namespace convoy::data
