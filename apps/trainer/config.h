// SPDX-License-Identifier: MIT
#pragma once
// What a training run is told: one struct, and one list of its fields that serves the command line,
// the printed table and args.json. Names are timm's where timm has one.
//
//   TrainConfig config = preset("cifar10", "resnet20");
//   describe(config, visitor);      // visitor.group("Data"); visitor("batch-size", field, "help")

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/trainer/kernel_choice.h"
#include "kernels/base.h"

namespace convoy::apps {

struct DataConfig {
  std::string dataset = "image_folder";
  std::string data_dir;
  std::string train_split = "train";
  std::string val_split = "val";
  int img_size = 0;              // 0: the data set's own size
  std::vector<float> mean, std;  // empty: the data set's own
  int workers = 2;
  int prefetch = 3;             // batches
  double loader_timeout = 120;  // seconds; 0: none
  std::int64_t shuffle_window = 0;
  std::string on_bad_image = "error";
  std::string cache = "none";
  std::string cache_bytes = "4G";  // of each split
};

struct PrecisionConfig {
  bool amp = false;
  std::string amp_dtype = "float16";
};

// One process per rank; which one this is says its environment (dist/launch.h).
struct RanksConfig {
  int global_batch_size = 0;  // 0: batch_size per rank
  std::string dist_init;
  double dist_timeout = 600;  // seconds
  double bucket_cap_mb = 25;
  int zero_stage = 0;
  bool sync_bn = false;
  std::string dist_bn = "reduce";
  int check_weight_hash_interval = 0;  // steps; 0: at epochs' ends alone
};

struct SimulatorConfig {
  std::string schedule = "ascending";
  std::string async = "eager";
  std::uint64_t seed = 0;
};

struct TrainConfig {
  DataConfig data;
  bool resident = false;

  std::string model = "resnet18";
  std::string initial_checkpoint;
  double drop = 0;
  double drop_path = 0;

  std::string output;
  std::string resume;
  int checkpoint_hist = 3;
  int log_interval = 50;
  int val_interval = 1;
  bool no_resume_opt = false;

  int batch_size = 128;
  int val_batch_size = 256;
  int epochs = 10;
  std::int64_t max_steps = 0;  // 0: no limit
  double max_time = 0;         // minutes; 0: no limit
  bool fast_dev_run = false;
  std::int64_t limit_train_batches = 0;
  std::int64_t limit_val_batches = 0;
  int grad_accum_steps = 1;

  std::string opt = "sgd";
  double lr = 0.1;
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 5e-4;
  std::vector<double> opt_betas = {0.9, 0.999};
  double opt_eps = 1e-8;
  double clip_grad = 0;

  std::string sched = "cosine";
  double warmup_epochs = 0;
  double warmup_lr = 0;
  double min_lr = 0;
  std::vector<double> decay_milestones;
  double decay_epochs = 30;
  double decay_rate = 0.1;

  bool model_ema = false;
  double model_ema_decay = 0.9998;
  bool model_ema_warmup = false;

  double smoothing = 0;
  double hflip = 0;
  int crop_padding = 0;
  double mixup = 0, cutmix = 0;
  double mixup_prob = 1, mixup_switch_prob = 0.5;
  std::string train_crop_mode = "rrc";
  std::vector<double> scale = {1, 1};
  std::vector<double> ratio = {1, 1};
  bool alternate_flip = false;
  std::vector<double> color_jitter;
  std::string aa;
  double reprob = 0;
  int cutout = 0;

  std::string device = "cpu";
  int threads = 0;  // 0: the cores that this process may use
  std::uint64_t seed = 42;
  std::optional<bool> cuda_graph;  // nothing: where the device has graphs
  bool no_fuse = false;
  KernelConfig kernel;
  bool autotune = false;
  PrecisionConfig precision;
  double loss_scale = 0;  // 0: dynamic
  int loss_scale_window = 2000;
  double min_loss_scale = 1;
  SimulatorConfig simulator;
  RanksConfig ranks;
  std::string profile;  // file of a Chrome trace of the first steps
};

// Calls v.group(title) and v(flag, field, help) for every field, in the order of --help.
template <class Visitor>
void describe_data(DataConfig& c, Visitor&& v) {
  v.group("Data");
  v("dataset", c.dataset, "mnist, fashion_mnist, cifar10, cifar100 or image_folder");
  v("data-dir", c.data_dir,
    "where the data set lies: a folder, or one with train.pack and val.pack");
  v("train-split", c.train_split, "subfolder of training images (image_folder)");
  v("val-split", c.val_split, "subfolder of held-out images (image_folder)");
  v("img-size", c.img_size, "side of the images that the model sees; 0: as stored");
  v("mean", c.mean, "per-channel mean of pixels in [0, 1]");
  v("std", c.std, "per-channel standard deviation");
  v("workers,-j", c.workers, "threads that decode images; 0: the main thread does");
  v("prefetch", c.prefetch, "batches in memory: one in use, the others ready or in the making");
  v("loader-timeout", c.loader_timeout,
    "seconds for reading one image, after which the run ends and names it; 0: none");
  v("cache", c.cache,
    "keep what was read in memory: none, ram (files as they are) or decoded (their pixels)");
  v("cache-bytes", c.cache_bytes, "of --cache, for each split; what does not fit is read again");
  v("shuffle-window", c.shuffle_window,
    "for slow disks: training images are read in stretches, shuffled within so many; 0: over all");
  v("on-bad-image", c.on_bad_image, "error: stop and name the file; skip: take another, count it");
}

template <class Visitor>
void describe_precision(PrecisionConfig& c, Visitor&& v) {
  v("amp", c.amp, "mixed precision: weights and activations in half, masters and sums in f32");
  v("amp-dtype", c.amp_dtype, "of --amp: float16 or bfloat16");
}

template <class Visitor>
void describe_simulator(SimulatorConfig& c, Visitor&& v) {
  v("sim-schedule", c.schedule,
    "order of the simulator's warps: ascending, descending or seeded; results do not depend on it");
  v("sim-async", c.async,
    "when the simulator does asynchronous work: eager, late or seeded; results do not depend on "
    "it");
  v("sim-seed", c.seed, "of the two above, where they are seeded");
}

template <class Visitor>
void describe_ranks(RanksConfig& c, Visitor&& v) {
  v.group("Ranks");
  v("global-batch-size", c.global_batch_size,
    "training images per batch of all ranks together, before --batch-size; 0: that of each");
  v("dist-init", c.dist_init,
    "where ranks meet: tcp://host:port or file:///folder; left out: the launcher's MASTER_ADDR and "
    "MASTER_PORT");
  v("dist-timeout", c.dist_timeout, "seconds that a rank may say nothing, after which all end");
  v("bucket-cap-mb", c.bucket_cap_mb, "size of the pieces in which gradients are summed");
  v("zero-stage", c.zero_stage,
    "0: every rank has the whole optimizer; 1: its part of it (ZeRO stage 1)");
  v("sync-bn", c.sync_bn, "batch norm over the batches of all ranks together");
  v("dist-bn", c.dist_bn,
    "running statistics of batch norm at an epoch's end: reduce (their mean) or broadcast (rank "
    "0's)");
  v("check-weight-hash-interval", c.check_weight_hash_interval,
    "steps from one comparison of all ranks' weights to the next; 0: at epochs' ends alone");
}

template <class Visitor>
void describe_device(TrainConfig& c, Visitor&& v) {
  v.group("Device");
  v("device", c.device, "cpu, sim, cuda or cuda:1 (what this build has: convoy devices)");
  v("threads", c.threads, "compute threads; 0: the cores that this process may use");
  v("seed", c.seed, "of initialisation, shuffles, augmentation and dropout");
  v("resident", c.resident,
    "copy all training images to the device once; it shifts and mirrors them there");
  v("cuda-graph", c.cuda_graph,
    "capture the training step and replay it; left out: where the device has graphs (cuda, sim)");
  v("no-fuse", c.no_fuse, "compose plain ops instead of the fused ones");
  describe_kernels(c.kernel, v);
  v("autotune", c.autotune,
    "before training, time each op's variants and write the tuning table (output's tuning.json, or "
    "--tuning-table)");
  describe_simulator(c.simulator, v);
  v("profile", c.profile, "write a Chrome trace of the first steps to this file");
}

template <class Visitor>
void describe_augmentation(TrainConfig& c, Visitor&& v) {
  v.group("Augmentation");
  v("hflip", c.hflip,
    "probability of a mirror image; below 0: 0.5, or 0 where the classes are digits");
  v("crop-padding", c.crop_padding, "shift images by up to this many pixels, zeros move in");
  v("train-crop-mode", c.train_crop_mode,
    "rrc: a random part, scaled; random: a window of the images' size, not scaled");
  v("scale", c.scale, "range of the random resized crop's area");
  v("ratio", c.ratio, "range of its width / height");
  v("alternate-flip", c.alternate_flip,
    "--hflip draws once for each image, which is then mirrored in every other epoch");
  v("color-jitter", c.color_jitter,
    "random brightness, contrast and saturation: one number, or one for each; a fourth: hue");
  v("aa", c.aa, "RandAugment: rand-m9-n2 is magnitude 9 of 30, two operations");
  v("reprob", c.reprob, "probability of random erasing");
  v("cutout", c.cutout, "side of a square that is blanked in each image; 0: none");
}

template <class Visitor>
void describe(TrainConfig& c, Visitor&& v) {
  describe_data(c.data, v);

  v.group("Model");
  v("model", c.model, "see convoy models");
  v("initial-checkpoint", c.initial_checkpoint,
    "start from these weights (safetensors or checkpoint)");
  v("drop", c.drop, "dropout before the classifier, where the model has it");
  v("drop-path", c.drop_path, "stochastic depth, where the model has it");

  v.group("Run");
  v("output", c.output, "folder of this run: logs and checkpoints go exactly there");
  v("resume", c.resume, "a checkpoint to go on from, or auto: the newest complete one of --output");
  v("no-resume-opt", c.no_resume_opt, "take the weights of --resume, not the optimizer's state");
  v("checkpoint-hist", c.checkpoint_hist, "how many checkpoints are kept");
  v("log-interval", c.log_interval, "steps between lines where the output is no terminal");

  v.group("Length");
  v("batch-size,-b", c.batch_size, "training images per step, of each rank");
  v("val-batch-size", c.val_batch_size, "images per evaluation batch, of each rank");
  v("epochs", c.epochs, "passes over the training set");
  v("max-steps", c.max_steps, "stop after this many optimizer steps; 0: no limit");
  v("max-time", c.max_time, "save and stop after this many minutes; 0: no limit");
  v("fast-dev-run", c.fast_dev_run, "one training and one evaluation batch, to see that all works");
  v("limit-train-batches", c.limit_train_batches, "batches per training epoch; 0: all");
  v("val-interval", c.val_interval, "epochs between evaluations; the last one is always evaluated");
  v("limit-val-batches", c.limit_val_batches, "batches per evaluation; 0: all");
  v("grad-accum-steps", c.grad_accum_steps, "batches whose gradients one step sums");

  v.group("Optimizer");
  v("opt", c.opt, "sgd, adam, adamw, rmsprop or lars");
  v("lr", c.lr, "peak learning rate");
  v("momentum", c.momentum, "of sgd, rmsprop and lars");
  v("nesterov", c.nesterov, "Nesterov momentum (sgd)");
  v("weight-decay", c.weight_decay, "not on biases and norms");
  v("opt-betas", c.opt_betas, "of adam and adamw");
  v("opt-eps", c.opt_eps, "of adam, adamw and rmsprop");
  v("clip-grad", c.clip_grad, "largest gradient norm; 0: no clipping");

  v.group("Schedule");
  v("sched", c.sched, "constant, step, multistep, cosine, poly, onecycle or plateau");
  v("warmup-epochs", c.warmup_epochs, "linear warm-up; at most a tenth of the run");
  v("warmup-lr", c.warmup_lr, "where the warm-up starts");
  v("min-lr", c.min_lr, "where the schedule ends");
  v("decay-milestones", c.decay_milestones, "epochs of multistep");
  v("decay-epochs", c.decay_epochs, "epochs between steps (step), patience (plateau)");
  v("decay-rate", c.decay_rate, "factor of a decay (step, multistep, plateau), power (poly)");

  v.group("Averages");
  v("model-ema", c.model_ema,
    "keep the moving average of the weights: it is evaluated too, and saved beside the model");
  v("model-ema-decay", c.model_ema_decay, "what a step leaves of the average before");
  v("model-ema-warmup", c.model_ema_warmup,
    "after t steps no more than 1 - (1 + t)^(-2/3): the average forgets the beginning sooner");

  v.group("Regularisation");
  v("smoothing", c.smoothing, "label smoothing");
  describe_augmentation(c, v);
  v("mixup", c.mixup,
    "alpha of mixup: two images of a batch are blended, and their labels; 0: none");
  v("cutmix", c.cutmix, "alpha of cutmix: a box of one image goes into another; 0: none");
  v("mixup-prob", c.mixup_prob, "that a batch is mixed at all, by either");
  v("mixup-switch-prob", c.mixup_switch_prob, "that it is by cutmix, where both are asked for");

  v.group("Mixed precision");
  describe_precision(c.precision, v);
  v("loss-scale", c.loss_scale, "what gradients are scaled by; 0: found while training (float16)");
  v("loss-scale-window", c.loss_scale_window, "good steps after which the found scale doubles");
  v("min-loss-scale", c.min_loss_scale, "the found scale is never lower");

  describe_ranks(c.ranks, v);
  describe_device(c, v);
}

// The defaults for a data set and model; what the command line says goes on top.
TrainConfig preset(const std::string& dataset, const std::string& model);

// Throw a usage error that names the flag, the range and what was found.
inline constexpr int kMostThreads = 1024;
inline constexpr int kMostBatchesAhead = 1024;
inline constexpr double kInitialLossScale = 65536;  // of --loss-scale 0
inline constexpr int kMostPixelsASide = 16384;
void check(const TrainConfig& config);
void check(const DataConfig& config);
void check(const RanksConfig& config);
void check_threads(int threads);
void check_dist_timeout(double seconds);
// float16 or bfloat16, in which the model's weights are; nothing without --amp. Throws a usage
// error for another word, and for a device that does not compute in it.
std::optional<DType> half_dtype(const PrecisionConfig& config, const std::string& device);
// For the file that a long run ends with: is its folder there, and may we write in it?
void require_writable(const char* flag, const std::string& path);

}  // namespace convoy::apps
