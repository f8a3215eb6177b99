// SPDX-License-Identifier: MIT
#include "apps/trainer/config.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/trainer/augmentation.h"
#include "data/cached_dataset.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

namespace fs = std::filesystem;

bool is_mnist_like(const std::string& dataset) {
  return dataset == "mnist" || dataset == "fashion_mnist";
}

bool is_cifar(const std::string& dataset) { return dataset == "cifar10" || dataset == "cifar100"; }

// Digits and clothes: no flip (a mirrored 2 is no 2), a short run of a small model.
void mnist_preset(TrainConfig& c) {
  c.model = "lenet5";
  c.batch_size = 64;
  c.epochs = 3;
  c.lr = 0.05;
  c.warmup_epochs = 0.1;
  c.hflip = 0;
}

// He et al., arXiv:1512.03385, section 4.2: shift by 4 pixels and flip; a cosine in place of steps.
void cifar_preset(TrainConfig& c) {
  c.model = "resnet20";
  c.batch_size = 128;
  c.epochs = 100;
  c.lr = 0.1;
  c.warmup_epochs = 2;
  c.hflip = 0.5;
  c.crop_padding = 4;
}

void folder_preset(TrainConfig& c) {
  c.model = "resnet18";
  c.data.img_size = 224;
  c.batch_size = 32;
  c.epochs = 30;
  c.lr = 0.05;
  c.warmup_epochs = 3;
  c.weight_decay = 1e-4;
  c.smoothing = 0.1;
  c.hflip = -1;
  c.scale = {0.35, 1};
  c.ratio = {0.75, 1.3333};
}

void convnext_preset(TrainConfig& c) {
  c.opt = "adamw";
  c.lr = 1e-3;
  c.weight_decay = 0.05;
}

void require_range(bool good, const char* flag, const char* expected, double found) {
  if (!good) fail_usage("--{} expects {}, found {}", flag, expected, found);
}

void require_within(double low, double high, const char* flag, double found) {
  if (!(found >= low && found <= high)) {
    fail_usage("--{} expects a value from {} to {}, found {}", flag, low, high, found);
  }
}

void require_pair(const std::vector<double>& v, const char* flag) {
  if (v.size() != 2) fail_usage("--{} expects two numbers, found {}", flag, v.size());
}

void check_loss_scale(const TrainConfig& c) {
  require_range(c.loss_scale >= 0 && std::isfinite(c.loss_scale), "loss-scale", "0 or more",
                c.loss_scale);
  require_range(c.loss_scale_window >= 1, "loss-scale-window", "1 or more", c.loss_scale_window);
  require_within(0x1p-100, kInitialLossScale, "min-loss-scale", c.min_loss_scale);
  half_dtype(c.precision, c.device);
}

}  // namespace

TrainConfig preset(const std::string& dataset, const std::string& model) {
  TrainConfig c;
  c.data.dataset = dataset;
  if (is_mnist_like(dataset)) {
    mnist_preset(c);
  } else if (is_cifar(dataset)) {
    cifar_preset(c);
  } else {
    folder_preset(c);
  }
  if (!model.empty()) c.model = model;
  if (c.model.starts_with("convnext")) convnext_preset(c);
  return c;
}

void check(const DataConfig& c) {
  data::cache_kind(c.cache);
  data::parse_bytes(c.cache_bytes);
  require_within(0, kMostThreads, "workers", c.workers);
  require_within(1, kMostBatchesAhead, "prefetch", c.prefetch);
  if (!(c.loader_timeout >= 0)) {
    fail_usage("--loader-timeout expects 0 seconds or more, found {}", c.loader_timeout);
  }
  require_within(0, kMostPixelsASide, "img-size", c.img_size);
}

void check_threads(int threads) { require_within(0, kMostThreads, "threads", threads); }

std::optional<DType> half_dtype(const PrecisionConfig& c, const std::string& device) {
  const bool is_bf16 = c.amp_dtype == "bfloat16";
  if (c.amp_dtype != "float16" && !is_bf16) {
    fail_usage("--amp-dtype expects float16 or bfloat16, found '{}'", c.amp_dtype);
  }
  if (!c.amp) return std::nullopt;
  if (device == "cpu") {
    fail_usage(
        "--amp expects a device that computes in {}, found cpu; leave it out, or take "
        "--device sim or cuda (this build's: convoy devices)",
        c.amp_dtype);
  }
  return is_bf16 ? DType::bf16 : DType::f16;
}

void require_writable(const char* flag, const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code absent;
  const fs::file_status there = fs::status(path, absent);
  const bool is_other = fs::exists(there) && !fs::is_regular_file(there);
  if (is_other || access(folder.empty() ? "." : folder.c_str(), W_OK) != 0) {
    fail_usage("--{} expects a file in a folder that can be written to, found {}", flag, path);
  }
}

void check_dist_timeout(double seconds) {
  constexpr double kYear = 365.0 * 24 * 60 * 60;
  require_range(seconds > 0 && seconds <= kYear, "dist-timeout",
                "more than 0 seconds and at most a year", seconds);
}

void check(const RanksConfig& c) {
  require_range(c.global_batch_size >= 0, "global-batch-size", "0 or more", c.global_batch_size);
  check_dist_timeout(c.dist_timeout);
  require_range(c.bucket_cap_mb > 0, "bucket-cap-mb", "more than 0", c.bucket_cap_mb);
  require_within(0, 1, "zero-stage", c.zero_stage);
  require_range(c.check_weight_hash_interval >= 0, "check-weight-hash-interval", "0 or more",
                c.check_weight_hash_interval);
  if (!c.dist_init.empty() && !c.dist_init.starts_with("tcp://") &&
      !c.dist_init.starts_with("file://")) {
    fail_usage("--dist-init expects tcp://host:port or file:///folder, found '{}'", c.dist_init);
  }
  if (c.dist_bn != "reduce" && c.dist_bn != "broadcast") {
    fail_usage("--dist-bn expects reduce or broadcast, found '{}'", c.dist_bn);
  }
}

void check(const TrainConfig& c) {
  require_range(c.val_interval >= 1, "val-interval", "1 or more", c.val_interval);
  require_range(c.max_time >= 0, "max-time", "0 or more minutes", c.max_time);
  require_range(c.batch_size >= 1, "batch-size", "1 or more", c.batch_size);
  require_range(c.val_batch_size >= 1, "val-batch-size", "1 or more", c.val_batch_size);
  require_range(c.epochs >= 1, "epochs", "1 or more", c.epochs);
  require_range(c.grad_accum_steps >= 1, "grad-accum-steps", "1 or more", c.grad_accum_steps);
  require_range(c.max_steps >= 0, "max-steps", "0 or more", static_cast<double>(c.max_steps));
  require_range(c.limit_train_batches >= 0, "limit-train-batches", "0 or more",
                static_cast<double>(c.limit_train_batches));
  require_range(c.limit_val_batches >= 0, "limit-val-batches", "0 or more",
                static_cast<double>(c.limit_val_batches));
  require_range(c.checkpoint_hist >= 1, "checkpoint-hist", "1 or more", c.checkpoint_hist);
  require_range(c.log_interval >= 1, "log-interval", "1 or more", c.log_interval);
  require_range(c.lr >= 0 && std::isfinite(c.lr), "lr", "0 or more", c.lr);
  require_range(c.smoothing >= 0 && c.smoothing < 1, "smoothing", "a value in [0, 1)", c.smoothing);
  require_range(c.hflip <= 1, "hflip", "a probability", c.hflip);
  require_range(c.drop >= 0 && c.drop < 1, "drop", "a value in [0, 1)", c.drop);
  require_range(c.drop_path >= 0 && c.drop_path < 1, "drop-path", "a value in [0, 1)", c.drop_path);
  require_range(c.crop_padding >= 0, "crop-padding", "0 or more", c.crop_padding);
  require_within(0, 1, "reprob", c.reprob);
  require_within(0, kMostPixelsASide, "cutout", c.cutout);
  colour_jitter_of(c.color_jitter);
  rand_augment_of(c.aa);
  require_range(c.model_ema_decay >= 0 && c.model_ema_decay < 1, "model-ema-decay",
                "a value in [0, 1)", c.model_ema_decay);
  require_range(c.momentum >= 0 && c.momentum < 1, "momentum", "a value in [0, 1)", c.momentum);
  require_range(c.weight_decay >= 0, "weight-decay", "0 or more", c.weight_decay);
  require_range(c.opt_eps > 0, "opt-eps", "more than 0", c.opt_eps);
  require_range(c.clip_grad >= 0, "clip-grad", "0 or more", c.clip_grad);
  require_range(c.warmup_epochs >= 0, "warmup-epochs", "0 or more", c.warmup_epochs);
  require_range(c.warmup_lr >= 0, "warmup-lr", "0 or more", c.warmup_lr);
  require_range(c.min_lr >= 0, "min-lr", "0 or more", c.min_lr);
  require_range(c.decay_epochs > 0, "decay-epochs", "more than 0", c.decay_epochs);
  require_range(c.decay_rate > 0, "decay-rate", "more than 0", c.decay_rate);
  if (!std::is_sorted(c.decay_milestones.begin(), c.decay_milestones.end())) {
    fail_usage("--decay-milestones expects epochs in ascending order, found {}",
               fmt::join(c.decay_milestones, ","));
  }
  if (c.sched == "multistep" && c.decay_milestones.empty()) {
    fail_usage("--sched multistep expects the epochs of --decay-milestones, found none");
  }
  check(c.data);
  check(c.ranks);
  check_threads(c.threads);
  check_loss_scale(c);
  require_pair(c.opt_betas, "opt-betas");
  for (double beta : c.opt_betas) {
    require_range(beta >= 0 && beta < 1, "opt-betas", "values in [0, 1)", beta);
  }
  require_pair(c.scale, "scale");
  require_pair(c.ratio, "ratio");
}

}  // namespace convoy::apps
