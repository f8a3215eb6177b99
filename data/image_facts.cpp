// SPDX-License-Identifier: MIT
#include "data/image_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace convoy::data {
namespace {

using File = std::span<const std::uint8_t>;

bool starts_with(File file, std::string_view start) {
  return file.size() >= start.size() &&
         std::equal(start.begin(), start.end(), file.begin(),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

bool contains(File file, std::string_view part) {
  return std::search(file.begin(), file.end(), part.begin(), part.end(),
                     [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }) !=
         file.end();
}

// Of the first frame header (ITU-T T.81, B.2.2): markers SOF0 to SOF15 without DHT, JPG and DAC.
// 0 where there is none.
int jpeg_components(File file) {
  std::size_t at = 2;
  while (at + 4 <= file.size()) {
    const std::uint8_t marker = file[at + 1];
    if (file[at] != 0xff || marker == 0xff || marker == 0) {  // fill bytes, or stray ones
      ++at;
      continue;
    }
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) return at + 9 < file.size() ? file[at + 9] : 0;
    const bool alone = marker == 1 || (marker >= 0xd0 && marker <= 0xd8);
    at += 2;
    if (!alone) at += std::size_t{file[at]} << 8 | file[at + 1];
  }
  return 0;
}

// The third number of a PNM header (P2, P3, P5, P6), between which are spaces and comments.
std::int64_t pnm_maximum(File file) {
  std::int64_t number = 0;
  std::size_t at = 2;
  for (int field = 0; field < 3; ++field) {
    while (at < file.size() && std::isdigit(file[at]) == 0) {
      if (file[at] == '#') {
        while (at < file.size() && file[at] != '\n') ++at;
      } else {
        ++at;
      }
    }
    for (number = 0; at < file.size() && std::isdigit(file[at]) != 0 && number < 1 << 20; ++at) {
      number = 10 * number + (file[at] - '0');
    }
  }
  return number;
}

const Oddity kDeep{"16-bit", "more than 8 bits a channel, cut to 8"};

void look_at_png(File file, std::vector<Oddity>& found) {
  // IHDR comes first: width, height, bit depth at 24, colour type at 25.
  if (file.size() < 26) return;
  if (file[24] == 16) found.push_back(kDeep);
  if (file[25] == 4 || file[25] == 6) found.push_back({"alpha", "transparency, which is dropped"});
}

}  // namespace

std::string format_by_content(File file) {
  if (starts_with(file, "\xff\xd8")) return "JPEG";
  if (starts_with(file, "\x89PNG")) return "PNG";
  if (starts_with(file, "BM")) return "BMP";
  if (file.size() >= 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '7') return "PNM";
  return "";
}

std::string format_by_name(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 13> kEndings = {{
      {"jpg", "JPEG"},
      {"jpeg", "JPEG"},
      {"jpe", "JPEG"},
      {"jfif", "JPEG"},
      {"png", "PNG"},
      {"bmp", "BMP"},
      {"dib", "BMP"},
      {"pnm", "PNM"},
      {"ppm", "PNM"},
      {"pgm", "PNM"},
      {"pbm", "PNM"},
      {"pam", "PNM"},
      {"jif", "JPEG"},
  }};
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return "";
  std::string ending(name.substr(dot + 1));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto& [known, format] : kEndings) {
    if (ending == known) return format;
  }
  return "";
}

std::vector<Oddity> oddities(File file, std::string_view name) {
  std::vector<Oddity> found;
  const std::string format = format_by_content(file), named = format_by_name(name);
  if (!named.empty() && named != format) {
    found.push_back({"mislabelled", fmt::format("named as {}, the content is {}", named, format)});
  }
  if (format == "JPEG" && jpeg_components(file) == 4) {
    found.push_back({"cmyk", "four inks, turned into RGB"});
  }
  if (format == "PNG") look_at_png(file, found);
  const bool grades = format == "PNM" && file[1] != '1' && file[1] != '4' && file[1] != '7';
  if (grades && pnm_maximum(file) > 255) found.push_back(kDeep);
  return found;
}

bool is_cut_off(File file) {
  const std::string format = format_by_content(file);
  if (format == "PNG") return !contains(file, "IEND");
  // Thumbnails in the header have an end of their own, so the last one is looked for behind them.
  const std::size_t tail = file.size() - std::min<std::size_t>(file.size(), 2);
  if (format == "JPEG") return !contains(file.subspan(std::min(file.size() / 2, tail)), "\xff\xd9");
  return false;
}

}  // namespace convoy::data
