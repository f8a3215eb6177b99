// SPDX-License-Identifier: MIT
#pragma once
// An array of the device amid other values, which must stay as they are: a kernel that writes one
// element too many shows. It begins at a multiple of 16 bytes, or one element behind that, where
// vector accesses would fault.
//
//   FencedArray y(DType::f16, 9, kMisaligned);
//   run_on_device(Fill{9, y.data(), 1.0, DType::f16});
//   expect_equal(y.values(), ...);                        // and the fence stands

#include <string>
#include <vector>

#include "tests/support/gpu_case.h"

namespace convoy::testing {

inline constexpr std::int64_t kAligned = 0, kMisaligned = 1;

class FencedArray {
 public:
  // Filled with NaN, or where the dtype has none with zeros.
  FencedArray(DType dtype, std::int64_t count, std::int64_t shift = kAligned)
      : FencedArray(
            dtype,
            std::vector<double>(static_cast<std::size_t>(count), is_floating(dtype) ? NAN : 0),
            shift) {}
  FencedArray(DType dtype, const std::vector<double>& values, std::int64_t shift = kAligned)
      : fence_(next_fence()),
        begin_(kPad + shift),
        count_(std::ssize(values)),
        all_(dtype, surround(values)) {}

  DType dtype() const { return all_.dtype(); }
  std::int64_t count() const { return count_; }
  void* data() const {
    return all_.as<char>() + static_cast<std::size_t>(begin_) * size_of(all_.dtype());
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(data());
  }

  std::vector<double> values() const {
    const std::vector<double> all = all_.values();
    const auto first = all.begin() + begin_, last = first + count_;
    for (auto it = all.begin(); it != all.end(); ++it) {
      if (it == first) it = last;
      if (it == all.end()) break;
      if (*it != fence_) ADD_FAILURE() << "element " << it - first << " was written, of " << count_;
    }
    return {first, last};
  }

 private:
  // Each array has its own, which every dtype can hold: what is copied from one fence to another
  // shows.
  static double next_fence() {
    static int count = 0;
    return 100 + count++ % 100;
  }

  static constexpr std::int64_t kPad = 32;  // elements: a multiple of 16 bytes

  std::vector<double> surround(const std::vector<double>& values) const {
    std::vector<double> all(static_cast<std::size_t>(begin_ + count_ + kPad), fence_);
    std::copy(values.begin(), values.end(), all.begin() + begin_);
    return all;
  }

  double fence_;
  std::int64_t begin_, count_;
  DeviceArray all_;
};

inline void expect_close(const FencedArray& found, const std::vector<double>& reference,
                         Bound bound, const std::string& what) {
  expect_close(found.values(), found.dtype(), reference, bound, what);
}

// The same bits, signs of zeros included; a NaN is a NaN.
inline void expect_equal(const FencedArray& found, const std::vector<double>& reference,
                         const std::string& what) {
  const std::vector<double> values = found.values();
  ASSERT_EQ(values.size(), reference.size()) << what;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool same =
        std::isnan(reference[i])
            ? std::isnan(values[i])
            : values[i] == reference[i] && std::signbit(values[i]) == std::signbit(reference[i]);
    ASSERT_TRUE(same) << what << ": element " << i << " is " << values[i] << ", expected "
                      << reference[i];
  }
}

}  // namespace convoy::testing
