// SPDX-License-Identifier: MIT
// The loader alone, with the flags that convoy train gives it: images per second, and a hash of all
// that it delivers, to be compared between machines, versions and numbers of workers.
#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/convoy/arguments.h"
#include "apps/convoy/bench.h"
#include "apps/convoy/starting_config.h"
#include "apps/trainer/setup.h"
#include "data/loader.h"
#include "data/sha256.h"
#include "kernels/require.h"
#include "runtime/seconds.h"

namespace convoy::apps {
namespace {

using Clock = std::chrono::steady_clock;

struct LoaderBenchConfig {
  TrainConfig train;
  std::string split = "train";
  std::int64_t limit_batches = 0;
  bool hash = false, json = false;
};

void describe(LoaderBenchConfig& c, FlagAdder& flags) {
  describe_data(c.train.data, flags);
  flags("split", c.split, "train: shuffled and augmented; val: as evaluation sees it");
  flags.group("Length");
  flags("batch-size,-b", c.train.batch_size, "images per batch");
  flags("epochs", c.train.epochs, "passes over the images");
  flags("limit-batches", c.limit_batches, "batches per epoch; 0: all");
  flags("seed", c.train.seed, "of shuffles and augmentation");
  describe_augmentation(c.train, flags);
  flags.group("Output");
  flags("device", c.train.device, "whose page-locked memory the batches lie in");
  flags("hash", c.hash, "print a SHA-256 of what each epoch delivers; takes time of its own");
  flags("json", c.json, "figures as one line of JSON per epoch");
}

// Feeds a hash with samples as the network would see them but for normalisation: in their order,
// with index and class, and with what the device is asked to do to each done here.
class DeliveryHash {
 public:
  void add(const data::Batch& batch) {
    const auto bytes = static_cast<std::size_t>(batch.extent.count());
    for (std::size_t r = 0; r < batch.labels.size(); ++r) {
      if (batch.labels[r] == data::kNoLabel) continue;
      hash_.update(std::as_bytes(batch.indices.subspan(r, 1)));
      hash_.update(std::as_bytes(batch.labels.subspan(r, 1)));
      finish_image(batch.images.subspan(r * bytes, bytes), batch.extent, batch.row[r]);
      hash_.update(std::as_bytes(std::span(finished_)));
    }
  }
  std::string finish() { return hash_.finish(); }

 private:
  // Shifted and mirrored as kernels/image.h says; what moves in is black.
  void finish_image(std::span<const std::uint8_t> image, const data::ImageExtent& e,
                    const ImageRow& row) {
    finished_.assign(image.size(), 0);
    for (std::int64_t y = 0; y < e.height; ++y) {
      for (std::int64_t x = 0; x < e.width; ++x) {
        const std::int64_t from_y = y + row.offset_y;
        const std::int64_t from_x = (row.flip != 0 ? e.width - 1 - x : x) + row.offset_x;
        if (from_y < 0 || from_y >= e.height || from_x < 0 || from_x >= e.width) continue;
        const auto from = static_cast<std::size_t>((from_y * e.width + from_x) * e.channels);
        const auto to = static_cast<std::size_t>((y * e.width + x) * e.channels);
        std::copy_n(&image[from], e.channels, &finished_[to]);
      }
    }
  }

  data::Sha256 hash_;
  std::vector<std::uint8_t> finished_;
};

struct EpochFigures {
  std::int64_t images = 0;
  double seconds = 0, first_batch_s = 0;
  data::LoaderStats loader;
  double images_per_second() const { return static_cast<double>(images) / seconds; }
};

EpochFigures run_epoch(data::Loader& loader, std::int64_t epoch, std::int64_t limit,
                       DeliveryHash* hash) {
  EpochFigures figures;
  const data::LoaderStats before = loader.stats();
  const auto start = Clock::now();
  loader.start(epoch);
  for (std::int64_t i = 0; limit == 0 || i < limit; ++i) {
    const data::Batch* batch = loader.next();
    if (batch == nullptr) break;
    if (i == 0) figures.first_batch_s = seconds_since(start);
    figures.images += batch->valid;
    if (hash != nullptr) hash->add(*batch);
  }
  figures.seconds = seconds_since(start);
  figures.loader = loader.stats() - before;
  return figures;
}

void print_json(std::int64_t epoch, const EpochFigures& f) {
  const nlohmann::ordered_json line{{"epoch", epoch},
                                    {"images", f.images},
                                    {"seconds", f.seconds},
                                    {"images_per_second", f.images_per_second()},
                                    {"first_batch_ms", 1e3 * f.first_batch_s},
                                    {"bytes", f.loader.bytes},
                                    {"starved_s", f.loader.starved_s},
                                    {"blocked_s", f.loader.blocked_s},
                                    {"decode_s", f.loader.filling_s}};
  fmt::print("{}\n", line.dump());
}

void print_line(std::int64_t epoch, const EpochFigures& f) {
  fmt::print(
      "epoch {}: {} images in {:.2f} s, {:.0f} img/s, {:.0f} MB/s; first batch after {:.1f} ms; "
      "workers: {:.3f} ms an image, waited {:.1f} s for room\n",
      epoch, f.images, f.seconds, f.images_per_second(),
      1e-6 * static_cast<double>(f.loader.bytes) / f.seconds, 1e3 * f.first_batch_s,
      1e3 * f.loader.filling_s / static_cast<double>(std::max<std::int64_t>(f.images, 1)),
      f.loader.blocked_s);
}

}  // namespace

int run_bench_loader(const Arguments& arguments) {
  LoaderBenchConfig config;
  config.train = starting_config(arguments);
  config.train.epochs = 3;
  CLI::App app("Measure the loader alone.", "convoy bench loader");
  FlagAdder flags(app);
  describe(config, flags);
  if (!parse(app, arguments)) return 0;
  check(config.train);
  if (config.split != "val" && config.split != "train") {
    fail_usage("--split expects train or val, found '{}'", config.split);
  }
  const bool train = config.split == "train";
  const DataSource source = open_data(config.train.data, train ? Split::train : Split::val);
  config.train = with_flip_for(config.train, *source.dataset);
  config.train.val_batch_size = config.train.batch_size;
  data::Loader loader(source.dataset, train ? train_loading(config.train, source.input)
                                            : val_loading(config.train, source.input));
  for (std::int64_t epoch = 0; epoch < config.train.epochs; ++epoch) {
    std::optional<DeliveryHash> hash;
    if (config.hash) hash.emplace();
    const EpochFigures figures =
        run_epoch(loader, epoch, config.limit_batches, hash ? &*hash : nullptr);
    config.json ? print_json(epoch, figures) : print_line(epoch, figures);
    if (hash) fmt::print("hash epoch={} {}\n", epoch, hash->finish());
    std::fflush(stdout);
  }
  report_skipped(loader);
  return 0;
}

}  // namespace convoy::apps
