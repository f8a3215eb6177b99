// SPDX-License-Identifier: MIT
#include "data/pack_writer.h"

#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <system_error>
#include <utility>

#include "data/in_order.h"
#include "data/names.h"
#include "data/pack_part.h"
#include "data/resize.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

// What is to be packed: sample numbers and the names they get.
struct Plan {
  std::vector<std::int64_t> samples;
  std::vector<std::string> names, texts;
  PackHeader header;
};

void check(const PackOptions& o) {
  if (o.size < 0 || (o.size > 0 && o.format == PackFormat::keep)) {
    fail_usage("--size expects 0 or more pixels, and --format jpeg or raw, found {}", o.size);
  }
  if (o.quality < 1 || o.quality > 100) {
    fail_usage("--quality expects 1 to 100, found {}", o.quality);
  }
  if (o.limit < 0) fail_usage("--limit expects 0 or more samples, found {}", o.limit);
}

std::string name_below(const fs::path& root, const std::string& name) {
  const std::string folder = root.string();
  for (const char* mark : {"/", ": "}) {
    if (name.starts_with(folder + mark))
      return name.substr(folder.size() + std::string(mark).size());
  }
  return name;
}

std::string first_three(const std::vector<std::string>& all) {
  const auto shown = static_cast<std::ptrdiff_t>(std::min<std::size_t>(all.size(), 3));
  return fmt::format("{}: {}{}", all.size(), fmt::join(all.begin(), all.begin() + shown, ", "),
                     all.size() > 3 ? " …" : "");
}

// A link that leads out of the folder would put anything the user can read into a file that is
// meant to be given away.
bool leads_out(const std::string& file, const fs::path& root) {
  std::error_code error;
  const fs::path real = fs::canonical(file, error);
  if (error) return false;  // no file, or one that reading will name
  return std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first != root.end();
}

void check_names(const Dataset& source, const Plan& plan, const fs::path& root) {
  std::vector<std::string> faulty, outside;
  std::error_code error;
  const fs::path real_root = fs::is_directory(root) ? fs::canonical(root, error) : fs::path();
  std::string file;
  for (std::size_t i = 0; i < plan.samples.size(); ++i) {
    const std::string fault = fault_of_name(plan.names[i]);
    if (!fault.empty()) faulty.push_back(in_ascii(plan.names[i]) + " " + fault);
    source.sample_name(plan.samples[i], file);
    if (!real_root.empty() && leads_out(file, real_root)) outside.push_back(plan.names[i]);
  }
  if (!faulty.empty()) {
    fail_data(
        "{}: names of files expect UTF-8 without control characters and backslashes, found "
        "{}",
        root.string(), first_three(faulty));
  }
  if (!outside.empty()) {
    fail_data(
        "{}: expected files of this folder, found links that lead out of it, {}; put the "
        "files there, or pack the folder where they are",
        root.string(), first_three(outside));
  }
}

// Every choice that decides the bytes of a record.
std::uint32_t crc_of_plan(const Dataset& source, const Plan& plan, const PackOptions& o) {
  std::uint32_t crc = 0;
  const auto add = [&crc](const std::string& text) {
    const auto bytes = static_cast<std::uint64_t>(text.size());
    crc = crc_of(bytes_of(bytes), crc);
    crc = crc_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, crc);
  };
  const bool jpeg = o.format == PackFormat::jpeg;
  add(fmt::format("{} {} {}", static_cast<int>(o.format), o.size, jpeg ? o.quality : 0));
  for (const std::string& text : plan.texts) add(text);
  for (std::size_t i = 0; i < plan.samples.size(); ++i) {
    add(plan.names[i]);
    crc = crc_of(bytes_of(source.label(plan.samples[i])), crc);
  }
  return crc;
}

Plan make_plan(const Dataset& source, const PackOptions& o) {
  Plan plan{};
  const std::int64_t count = o.limit > 0 ? std::min(o.limit, source.size()) : source.size();
  if (count == 0) fail_data("pack: expected at least one sample, found none");
  for (std::int64_t i = 0; i < count; ++i) {
    plan.samples.push_back(i * source.size() / count);
    plan.names.push_back(name_below(o.root, source.sample_name(plan.samples.back())));
  }
  check_names(source, plan, o.root);
  plan.texts = source.class_names();
  plan.texts.insert(plan.texts.begin(), {o.split, o.dataset});
  kPackMagic.copy(plan.header.magic, sizeof plan.header.magic);
  plan.header.version = kPackVersion;
  plan.header.channels = static_cast<std::uint32_t>(source.extent().channels);
  plan.header.planned = static_cast<std::uint64_t>(count);
  plan.header.plan = crc_of_plan(source, plan, o);
  plan.header.crc = crc_before(plan.header, offsetof(PackHeader, crc));
  return plan;
}

Image smaller(Image image, std::int64_t size) {
  const ImageExtent& e = image.extent;
  const std::int64_t shorter = std::min(e.height, e.width);
  if (size == 0 || shorter <= size) return image;
  const Framing framing{whole(e), e.height * size / shorter, e.width * size / shorter, 0, 0};
  return resize_bilinear(image, framing, framing.height, framing.width);
}

struct Packed {
  std::vector<std::uint8_t> bytes;
  ImageExtent extent;
  std::string fault;  // why there is nothing
};

Packed packed(const Dataset& source, std::int64_t index, const PackOptions& o) try {
  if (o.format == PackFormat::keep) {
    std::vector<std::uint8_t> scratch;
    const Stored stored = source.stored(index, scratch);
    return {{stored.bytes.begin(), stored.bytes.end()}, stored.extent, ""};
  }
  Image image = smaller(source.get(index).image, o.size);
  if (o.format == PackFormat::jpeg) return {encode_jpeg(image, o.quality), {}, ""};
  return {std::move(image.pixels), image.extent, ""};
} catch (const Error& error) {
  if (!o.skip_bad || error.kind() != ErrorKind::data) throw;
  return {{}, {}, error.what()};
}

void check_sides(const ImageExtent& extent, const std::string& name) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint16_t>::max();
  if (extent.height > kMost || extent.width > kMost) {
    fail_data("{}: sides expect up to {} pixels, found {}", name, kMost, extent);
  }
}

// When the file of a sample was last written to, in nanoseconds; 0 where it has no file.
std::int64_t changed(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return 0;
  return status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec;
}

class Writer {
 public:
  Writer(const Dataset& source, const fs::path& output, const PackOptions& options)
      : source_(source),
        output_(output),
        options_(options),
        plan_(make_plan(source, options)),
        begun_(changed(part_name())),
        part_(part_name(), plan_.header, [this](const PackRecord& r) { return is_same(r); }) {}

  PackSummary run(const std::function<bool(const PackProgress&)>& progress) {
    const auto& kept = part_.positions();
    summary_.kept = static_cast<std::int64_t>(kept.size());
    const std::int64_t first = kept.empty() ? 0 : static_cast<std::int64_t>(kept.back()) + 1;
    const auto total = static_cast<std::int64_t>(plan_.samples.size());
    for (std::size_t i = 0, k = 0; static_cast<std::int64_t>(i) < first; ++i) {
      if (kept[k] == i) {
        ++k;
      } else {
        summary_.skipped.push_back(plan_.names[i]);
      }
    }
    std::int64_t done = first;
    in_order(
        total - first, options_.workers,
        [&](std::int64_t i) { return packed(source_, sample(first + i), options_); },
        [&](std::int64_t i, const Packed& made) {
          take(first + i, made);
          done = first + i + 1;
          return !progress || progress({done, first, total, part_.bytes()});
        });
    return finished(done == total);
  }

 private:
  std::string part_name() const { return output_.string() + ".part"; }
  std::int64_t sample(std::int64_t position) const {
    return plan_.samples[static_cast<std::size_t>(position)];
  }

  bool is_same(const PackRecord& record) const {
    const std::int64_t index = plan_.samples[record.position];
    return static_cast<std::int32_t>(record.label) == source_.label(index) &&
           changed(source_.sample_name(index)) <= begun_;
  }

  void take(std::int64_t position, const Packed& made) {
    const std::int64_t index = sample(position);
    if (!made.fault.empty()) {
      summary_.skipped.push_back(made.fault);
      return;
    }
    check_sides(made.extent, source_.sample_name(index));
    part_.append(static_cast<std::uint64_t>(position),
                 static_cast<std::uint32_t>(source_.label(index)), made.extent, made.bytes);
  }

  PackSummary finished(bool all) {
    summary_.records = static_cast<std::int64_t>(part_.positions().size());
    if (all && summary_.records == 0) fail_data("{}: no sample can be read", output_.string());
    std::vector<std::string> names;
    for (const std::uint64_t p : part_.positions()) names.push_back(plan_.names[p]);
    if (all) {
      part_.finish(names, plan_.texts, output_);
    } else {
      part_.flush();
    }
    summary_.bytes = part_.bytes();
    summary_.complete = all;
    return std::move(summary_);
  }

  const Dataset& source_;
  fs::path output_;
  PackOptions options_;
  Plan plan_;
  std::int64_t begun_;  // when an earlier run last wrote
  PackPart part_;
  PackSummary summary_;
};

}  // namespace

PackSummary write_pack(const Dataset& source, const fs::path& output, const PackOptions& options,
                       const std::function<bool(const PackProgress&)>& progress) {
  check(options);
  if (fs::exists(output)) {
    fail_usage("{}: expected a new file, found one: remove it first", output.string());
  }
  if (output.has_parent_path() && !fs::is_directory(output.parent_path())) {
    fail_usage("{}: expected a folder that is there, found no {}", output.string(),
               output.parent_path().string());
  }
  return Writer(source, output, options).run(progress);
}

}  // namespace convoy::data
