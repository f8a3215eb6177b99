// SPDX-License-Identifier: MIT
#include "data/check_items.h"

#include <algorithm>
#include <system_error>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "data/catalog.h"
#include "data/image_folder.h"
#include "data/pack.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

class Listing {
 public:
  explicit Listing(const fs::path& passed_over) {
    std::error_code error;
    if (!passed_over.empty()) passed_over_ = fs::weakly_canonical(passed_over, error);
  }

  void add(const fs::path& path) {
    const std::size_t before = items_.size();
    const fs::file_status status = fs::status(path);
    if (!fs::exists(status))
      fail_data("{}: expected a file or a folder, found nothing", path.string());
    if (!fs::is_directory(status)) return add_file(path, path.filename().string());
    const std::string dataset = guess_dataset(path);
    const bool packed =
        dataset.empty() || !pack_of(path, "train").empty() || !pack_of(path, "val").empty();
    if (!packed && dataset != "image_folder") return add_known(dataset, path);
    for (const fs::path& file : files_below(path)) {
      add_file(file, file.lexically_relative(path).string());
    }
    if (items_.size() == before && !repeated_) {
      fail_data("{}: expected pictures, found none", path.string());
    }
  }

  std::vector<CheckItem> take() { return std::move(items_); }

 private:
  std::vector<fs::path> files_below(const fs::path& folder) const {
    std::vector<fs::path> files;
    for (auto it = fs::recursive_directory_iterator(folder); it != fs::end(it); ++it) {
      std::error_code error;
      if (it->is_directory(error)) {
        const bool hidden = it->path().filename().string().front() == '.';
        if (hidden || fs::weakly_canonical(it->path(), error) == passed_over_) {
          it.disable_recursion_pending();
        }
        continue;
      }
      // A link that leads nowhere is a picture that is missing.
      const bool picture = it->is_regular_file(error) || it->is_symlink(error);
      if (picture && may_be_picture(it->path())) files.push_back(it->path());
    }
    std::sort(files.begin(), files.end(),
              [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
    return files;
  }

  void add_file(const fs::path& path, const std::string& relative) {
    if (!seen_.insert(path.lexically_normal().string()).second) {
      repeated_ = true;
      return;
    }
    if (!is_pack(path) && path.extension() != ".pack") {
      items_.push_back({path.string(), relative});
      return;
    }
    add_set({path.string(), relative},
            [&path] { return std::pair(open_pack(path), pack_source(path).split); });
  }

  // MNIST, CIFAR: their files are no images, but hold them.
  void add_known(const std::string& dataset, const fs::path& folder) {
    const DatasetPreset& preset = dataset_preset(dataset);
    for (const std::string& split : {preset.train_split, preset.val_split}) {
      CheckItem item{(folder / split).string(), ""};
      item.is_file = false;
      add_set(item, [&] { return std::pair(open_dataset(dataset, folder, split), split); });
    }
  }

  template <class Open>
  void add_set(CheckItem item, const Open& open) try {
    std::tie(item.set, item.split) = open();
    for (item.index = 0; item.index < item.set->size(); ++item.index) items_.push_back(item);
  } catch (const Error& error) {
    item.set = nullptr;
    item.fault = error.what();
    items_.push_back(item);
  }

  fs::path passed_over_;
  std::vector<CheckItem> items_;
  std::unordered_set<std::string> seen_;
  bool repeated_ = false;
};

}  // namespace

std::string split_of(const CheckItem& item) {
  const fs::path path = item.split.empty() ? item.file : item.split;
  std::string split;
  for (const fs::path& part : path) {
    const std::string stem = part.extension() == ".pack" ? part.stem() : part;
    if (stem == "train") split = "train";
    if (stem == "val" || stem == "test" || stem == "validation") split = "held out";
  }
  return split;
}

std::vector<CheckItem> items_to_check(const std::vector<fs::path>& paths,
                                      const fs::path& passed_over) {
  Listing listing(passed_over);
  for (const fs::path& path : paths) listing.add(path);
  return listing.take();
}

}  // namespace convoy::data
