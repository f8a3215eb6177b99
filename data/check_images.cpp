// SPDX-License-Identifier: MIT
#include "data/check_images.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "data/check_items.h"
#include "data/file.h"
#include "data/image_facts.h"
#include "data/in_order.h"
#include "data/pack_format.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

struct Looked {
  std::string bad_word, bad_text;  // empty: it is good
  std::vector<Oddity> odd;
  std::uint64_t key = 0;  // equal for equal bytes
};

// An error's text without the name that it starts with.
std::string cause_of(const std::string& text, const std::string& name) {
  return text.starts_with(name + ": ") ? text.substr(name.size() + 2) : text;
}

struct ItemBytes {
  std::vector<std::uint8_t> bytes;
  bool encoded = true;  // an image file; else pixels
};

ItemBytes bytes_of_item(const CheckItem& item, const DecodeLimits& limits) {
  if (!item.set) return {read_file(item.file, limits.max_file_bytes)};
  std::vector<std::uint8_t> scratch;
  const Stored stored = item.set->stored(item.index, scratch);
  return {{stored.bytes.begin(), stored.bytes.end()}, stored.is_file()};
}

// The image is not kept; what a picture decodes to is its reader's business.
void decode(std::span<const std::uint8_t> file, const std::string& name, DecodeLimits limits,
            Looked& looked) try {
  decode_image(file, name, limits);
  looked.odd = oddities(file, name);
} catch (const Error& error) {
  looked.bad_text = cause_of(error.what(), name);
  const std::string format = format_by_content(file);
  looked.bad_word = file.empty()       ? "empty"
                    : format.empty()   ? "unsupported"
                    : is_cut_off(file) ? "truncated"
                                       : "corrupt";
  if (format != "JPEG" || limits.damage == Damage::accept) return;
  limits.damage = Damage::accept;
  try {
    decode_image(file, name, limits);
    looked.bad_text += ", though a picture comes out";
  } catch (const Error&) {
  }
}

Looked look(const CheckItem& item, const DecodeLimits& limits) {
  Looked looked;
  const std::string name = item.name();
  if (!item.fault.empty()) {
    looked.bad_word = "corrupt";
    looked.bad_text = cause_of(item.fault, item.file);
    return looked;
  }
  ItemBytes item_bytes;
  try {
    item_bytes = bytes_of_item(item, limits);
  } catch (const Error& error) {
    looked.bad_word = item.set ? "corrupt" : "unreadable";
    looked.bad_text = cause_of(error.what(), item.file);
    return looked;
  }
  const std::vector<std::uint8_t>& bytes = item_bytes.bytes;
  looked.key = bytes.size() << 32 ^ crc_of(bytes);
  if (item_bytes.encoded) decode(bytes, name, limits, looked);
  return looked;
}

// Files with the same bytes: by their keys, then byte for byte.
class Twins {
 public:
  explicit Twins(const std::vector<CheckItem>& items, const DecodeLimits& limits)
      : items_(items), limits_(limits) {}

  // An earlier item with the same bytes, if there is one, and one of another split before others.
  const CheckItem* of(const CheckItem& item, std::uint64_t key) {
    std::vector<std::size_t>& same_key = by_key_[key];
    const auto index = static_cast<std::size_t>(&item - items_.data());
    const CheckItem* twin = nullptr;
    for (const std::size_t other : same_key) {
      const bool better =
          twin == nullptr || (!is_leak(item, *twin) && is_leak(item, items_[other]));
      if (better && are_equal(item, items_[other])) twin = &items_[other];
    }
    // Of a large group, each split's first is enough to compare with.
    if (twin == nullptr || split_of(*twin) != split_of(item)) same_key.push_back(index);
    return twin;
  }

  static bool is_leak(const CheckItem& a, const CheckItem& b) {
    const std::string first = split_of(a), second = split_of(b);
    return !first.empty() && !second.empty() && first != second;
  }

 private:
  bool are_equal(const CheckItem& a, const CheckItem& b) const try {
    return bytes_of_item(a, limits_).bytes == bytes_of_item(b, limits_).bytes;
  } catch (const Error&) {
    return false;  // gone meanwhile
  }

  const std::vector<CheckItem>& items_;
  const DecodeLimits& limits_;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> by_key_;
};

void report(const CheckItem& item, const Looked& looked, Twins& twins, CheckCounts& counts,
            const std::function<void(const Finding&)>& on_finding) {
  const std::string name = item.name();
  ++counts.images;
  if (!looked.bad_word.empty()) {
    ++counts.bad;
    on_finding({FindingClass::bad, looked.bad_word, name, looked.bad_text,
                !item.is_file || item.set ? "" : item.file, item.relative});
  }
  for (const Oddity& odd : looked.odd) {
    ++counts.odd;
    on_finding({FindingClass::odd, odd.kind, name, odd.text, "", ""});
  }
  if (looked.key == 0) return;  // nothing could be read
  const CheckItem* twin = twins.of(item, looked.key);
  if (twin == nullptr) return;
  const bool leak = Twins::is_leak(item, *twin);
  if (!leak && item.set != twin->set) return;  // a pack and what it was made of
  ++(leak ? counts.leaks : counts.duplicates);
  on_finding(
      {leak ? FindingClass::leak : FindingClass::duplicate, leak ? "leak" : "duplicate", name,
       (leak ? "held out and trained on: the same bytes as " : "the same bytes as ") + twin->name(),
       "", ""});
}

// rename() would replace what is there.
bool move_if_free(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  // Another file system, or one that cannot do this.
  std::error_code error;
  if (fs::exists(fs::symlink_status(to))) return false;
  fs::copy(from, to, fs::copy_options::copy_symlinks, error);
  if (error) fail("{}: could not be moved to {}: {}", from.string(), to.string(), error.message());
  fs::remove(from, error);
  if (error) fail("{}: could not be removed: {}", from.string(), error.message());
  return true;
}

}  // namespace

CheckCounts check_images(const std::vector<fs::path>& paths, const CheckOptions& options,
                         const std::function<void(const Finding&)>& on_finding) try {
  const std::vector<CheckItem> items = items_to_check(paths, options.passed_over);
  const auto total = static_cast<std::int64_t>(items.size());
  Twins twins(items, options.limits);
  CheckCounts counts;
  in_order(
      total, options.workers,
      [&](std::int64_t i) { return look(items[static_cast<std::size_t>(i)], options.limits); },
      [&](std::int64_t i, const Looked& looked) {
        report(items[static_cast<std::size_t>(i)], looked, twins, counts, on_finding);
        if (options.progress) options.progress(i + 1, total);
        return true;
      });
  return counts;
} catch (const fs::filesystem_error& error) {
  fail_data("{}: cannot be listed: {}", error.path1().string(), error.code().message());
}

fs::path set_aside(const fs::path& file, const fs::path& folder, const std::string& relative) {
  const fs::path wanted = folder / relative;
  std::error_code error;
  fs::create_directories(wanted.parent_path(), error);
  if (error) fail("{}: could not be made: {}", wanted.parent_path().string(), error.message());
  fs::path to = wanted;
  for (int i = 1; !move_if_free(file, to); ++i) {
    to = wanted.parent_path() /
         fmt::format("{}.{}{}", wanted.stem().string(), i, wanted.extension().string());
  }
  return to;
}

}  // namespace convoy::data
