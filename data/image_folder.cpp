// SPDX-License-Identifier: MIT
#include "data/image_folder.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "data/file.h"
#include "data/names.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string path;  // below the root
  std::int32_t label;
};

class ImageFolder : public Dataset {
 public:
  ImageFolder(const fs::path& root, std::vector<Entry> entries,
              std::vector<std::string> class_names, const DecodeLimits& limits)
      : Dataset(limits),
        folder_(root),
        entries_(std::move(entries)),
        class_names_(std::move(class_names)) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  ImageExtent extent() const override { return {0, 0, 3}; }
  Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override {
    return {folder_.read(entry(index).path, limits().max_file_bytes, scratch)};
  }
  std::int32_t label(std::int64_t index) const override { return entry(index).label; }
  void sample_name(std::int64_t index, std::string& out) const override {
    out.assign(folder_.path()).append("/").append(entry(index).path);
  }
  bool decodes() const override { return true; }

 private:
  const Entry& entry(std::int64_t index) const {
    require(index >= 0 && index < size(), "{}: index expects 0 to {}, found {}", folder_.path(),
            size() - 1, index);
    return entries_[static_cast<std::size_t>(index)];
  }

  Folder folder_;
  std::vector<Entry> entries_;
  std::vector<std::string> class_names_;
};

// Checkpoints and logs hold the classes as JSON, so their names have to be text.
std::vector<std::string> class_folders(const fs::path& root) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || name.front() == '.') continue;
    if (!is_utf8(name)) {
      fail_data("{}: expected UTF-8 names of class folders, found {}", root.string(),
                in_ascii(name));
    }
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> pictures_below(const fs::path& folder) {
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && may_be_picture(entry.path())) {
      paths.push_back(entry.path().lexically_relative(folder).string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text.empty() ? "none" : text;
}

void expect_classes(const std::vector<std::string>& found, const std::vector<std::string>& expected,
                    const fs::path& root) {
  if (expected.empty() || found == expected) return;
  std::vector<std::string> missing, unknown;
  std::set_difference(expected.begin(), expected.end(), found.begin(), found.end(),
                      std::back_inserter(missing));
  std::set_difference(found.begin(), found.end(), expected.begin(), expected.end(),
                      std::back_inserter(unknown));
  fail_data(
      "{}: expected the {} classes of the other split or the checkpoint, found {}: missing {}, not "
      "known {}",
      root.string(), expected.size(), found.size(), listed(missing), listed(unknown));
}

std::vector<Entry> list_entries(const fs::path& root, const std::vector<std::string>& classes) {
  std::vector<Entry> entries;
  std::vector<std::string> empty;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::vector<std::string> paths = pictures_below(root / classes[c]);
    if (paths.empty()) empty.push_back(classes[c]);
    for (const std::string& path : paths) {
      entries.push_back({classes[c] + "/" + path, static_cast<std::int32_t>(c)});
    }
  }
  if (!empty.empty()) {
    fail_data("{}: expected at least one image in each class folder, found {} empty: {}",
              root.string(), empty.size(), listed(empty));
  }
  return entries;
}

}  // namespace

bool may_be_picture(const fs::path& path) {
  static constexpr std::array kOthers = {".txt", ".md", ".csv", ".json", ".html", ".ini", ".db"};
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return path.filename().string().front() != '.' &&
         std::find(kOthers.begin(), kOthers.end(), ending) == kOthers.end();
}

std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root,
                                           const std::string& split,
                                           const std::vector<std::string>& class_names,
                                           const DecodeLimits& limits) try {
  const fs::path folder = split.empty() ? root : root / split;
  if (!fs::is_directory(folder)) {
    const std::string or_pack = split.empty() ? "" : ", or " + split + ".pack beside it";
    fail_data("{}: expected a directory with a folder per class{}, found {}", folder.string(),
              or_pack, fs::exists(folder) ? "a file" : "nothing");
  }
  std::vector<std::string> classes = class_folders(folder);
  if (classes.empty()) {
    fail_data("{}: expected a folder per class, found none{}", folder.string(),
              pictures_below(folder).empty() ? "" : ", only files: put each class in a folder");
  }
  expect_classes(classes, class_names, folder);
  std::vector<Entry> entries = list_entries(folder, classes);
  return std::make_unique<ImageFolder>(folder, std::move(entries), std::move(classes), limits);
} catch (const fs::filesystem_error& error) {
  fail_data("{}: cannot be listed: {}", error.path1().string(), error.code().message());
}

}  // namespace convoy::data
