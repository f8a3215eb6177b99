// SPDX-License-Identifier: MIT
#pragma once
// One decoder per file format, behind decode_image: each takes a whole file that starts with its
// format's signature, gives RGB as stored (orientation is the caller's business) and throws Error
// of kind data for what it cannot or will not read.

#include "data/image.h"

namespace convoy::data {

Image decode_jpeg(std::span<const std::uint8_t> file, const std::string& name,
                  const DecodeLimits& limits);
Image decode_png(std::span<const std::uint8_t> file, const std::string& name,
                 const DecodeLimits& limits);
Image decode_bmp(std::span<const std::uint8_t> file, const std::string& name,
                 const DecodeLimits& limits);
Image decode_pnm(std::span<const std::uint8_t> file, const std::string& name,
                 const DecodeLimits& limits);

// Sides of at least 1 and within the limits, else Error. Called before anything is allocated.
void check_extent(std::int64_t height, std::int64_t width, const std::string& name,
                  const DecodeLimits& limits);

}  // namespace convoy::data
