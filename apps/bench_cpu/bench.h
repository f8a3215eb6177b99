// SPDX-License-Identifier: MIT
#pragma once
// What the parts of bench_cpu share: buffers, and timing of alternatives in turn. The best of many
// short repeats is taken, because everything else on a machine only ever makes a repeat slower.
//
//   const auto best = best_in_turn({[&] { ours(); }, [&] { theirs(); }}, 0.5);   // seconds each

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace convoy::bench {

// Floats as the runtime allocates them, on huge pages where they fill one: for us and for the
// others alike, because which pages a buffer happens to get changes a small layer's time by a
// third.
class Buffer {
 public:
  explicit Buffer(std::size_t count);
  float* data() { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  std::size_t size_;
  std::unique_ptr<float, Free> data_;
};

void fill_random(float* data, std::size_t count);  // in [-1, 1]

// The shortest run of each function, in seconds. They take turns until `seconds` have gone for all
// of them together, and five times at least. A turn starts with a run that is not timed, so that
// each function finds the caches as it left them itself, whoever came before.
std::vector<double> best_in_turn(const std::vector<std::function<void()>>& functions,
                                 double seconds);

struct Row {
  std::string layer, pass, variant;  // variant: which of our kernels ran
  std::string bare_layout;           // the layout in which oneDNN was quicker
  double ours, bare;                 // seconds
};
std::vector<Row> conv_layers(const std::string& filter, double seconds);

// A model with random images of `size` x `size`, ready to train.
class TrainStep {
 public:
  TrainStep(const std::string& model, std::int64_t batch, std::int64_t size);
  ~TrainStep();
  double run();                          // one step; seconds
  double loss() const { return loss_; }  // of the last step

 private:
  struct State;
  std::unique_ptr<State> state_;
  double loss_ = 0;
};

// Seconds for one add of one-element tensors that want gradients: forward with its place on the
// tape, and as a link of a chain with its backward.
double recorded_add(std::int64_t count);
double recorded_chain(std::int64_t count, std::int64_t length);

// Seconds for one block, taken and given back in the order of a training step.
struct BlockSeconds {
  double cut, exact, direct;  // as CONVOY_ALLOCATOR may have it
};
BlockSeconds block_seconds(double seconds);

// Of the JPEG files below a folder, one thread, in turn: from a file's bytes to a random resized
// crop of 224 x 224, against libjpeg-turbo decoding the whole picture at the same scale.
struct DecodeSpeed {
  std::int64_t files;
  double framed, whole;  // pictures a second
};
DecodeSpeed decode_speed(const std::string& folder, double seconds);

}  // namespace convoy::bench
