// SPDX-License-Identifier: MIT
#include "kernels/sim/wgmma.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "kernels/half.h"
#include "kernels/sim/async_source.h"
#include "kernels/sim/instruction.h"
#include "kernels/sim/shared_memory.h"

namespace convoy::sim {
namespace {

constexpr unsigned kM = 64, kK = 16, kThreads = 128;
constexpr std::uint32_t kPoison = ~0u;

using Operands = std::span<WgmmaOperand* const>;

// Element i of a thread's fragment of d: PTX ISA, register fragments of m64nNk16.
unsigned row_of(unsigned thread, unsigned i) {
  return thread / 32 * 16 + thread % 32 / 4 + 8 * (i / 2 % 2);
}
unsigned column_of(unsigned thread, unsigned i) { return i / 4 * 8 + 2 * (thread % 4) + i % 2; }

// ---- matrices in shared memory ----

// The fields of a descriptor, as offsets in shared memory: PTX ISA, matrix descriptor format.
struct Matrix {
  std::size_t start, leading, stride;
  bool swizzled;
};

Matrix decode(std::uint64_t descriptor, const Site& site) {
  const auto field = [&](int bit) { return (descriptor >> bit & 0x3fffu) << 4; };
  const std::uint64_t mode = descriptor >> 62;
  expect(mode <= 1, "wgmma: expects a descriptor without swizzling or with 128 bytes, mode",
         static_cast<std::int64_t>(mode), site);
  const Matrix matrix{field(0) - kSharedBase, field(16), field(32), mode == 1};
  expect(!matrix.swizzled || matrix.start % 1024 < 128,
         "wgmma: expects a swizzled matrix at a multiple of 1024 bytes, offset",
         static_cast<std::int64_t>(matrix.start), site);
  return matrix;
}

// Where 8 neighbours begin: along k from (mn, k), or along m or n. Canonical layouts, in the PTX
// ISA's words: "leading" and "stride" change places with the direction and with swizzling.
std::size_t unit_offset(const Matrix& matrix, bool mn_major, unsigned mn, unsigned k) {
  std::size_t at = matrix.start;
  if (!mn_major) {
    at += mn / 8 * matrix.stride;
    at += matrix.swizzled ? mn % 8 * 128 + k / 8 * 16 : mn % 8 * 16 + k / 8 * matrix.leading;
  } else if (matrix.swizzled) {
    at += mn / 64 * matrix.leading + mn % 64 / 8 * 16 + k % 8 * 128 + k / 8 * matrix.stride;
  } else {
    at += mn / 8 * matrix.stride + k % 8 * 16 + k / 8 * matrix.leading;
  }
  return matrix.swizzled ? at ^ ((at >> 7 & 7) << 4) : at;
}

float widen(std::uint16_t bits, bool bf16) {
  return bf16 ? to_float(BF16{bits}) : to_float(F16{bits});
}

// Calls put(mn, k, value) for each element of a matrix of `extent` rows or columns by 16.
template <class Put>
void read_matrix(AsyncSource& source, std::uint64_t descriptor, bool mn_major, unsigned extent,
                 bool bf16, const Site& site, Put put) {
  const Matrix matrix = decode(descriptor, site);
  expect(!matrix.swizzled || !mn_major || extent % 64 == 0,
         "wgmma: expects whole rows of 64 of a swizzled matrix along m or n, found",
         static_cast<std::int64_t>(extent), site);
  for (unsigned mn = 0; mn < extent; mn += mn_major ? 8 : 1) {
    for (unsigned k = 0; k < kK; k += mn_major ? 1 : 8) {
      std::uint16_t halves[8];
      std::memcpy(halves, source.take(unit_offset(matrix, mn_major, mn, k), "wgmma", site), 16);
      for (unsigned i = 0; i < 8; ++i) {
        put(mn_major ? mn + i : mn, mn_major ? k : k + i, widen(halves[i], bf16));
      }
    }
  }
}

// ---- products ----

struct Product {
  std::shared_ptr<Accumulators> sum;
  AsyncSource source;
  bool accumulate;
  float a[kM][kK];
  std::vector<float> b;  // 16 x n

  Product(std::shared_ptr<Accumulators> sum_, Block& block, bool accumulate_)
      : sum(std::move(sum_)), source(block), accumulate(accumulate_), b(kK * sum->n) {}

  void read_operands(Operands operands, const Site& site) {
    const WgmmaOperand& any = *operands[0];
    if (any.a_registers == nullptr) {
      read_matrix(source, any.a, any.a_is_m_major, kM, any.bf16, site,
                  [&](unsigned m, unsigned k, float value) { a[m][k] = value; });
    } else {
      for (unsigned t = 0; t < kThreads; ++t) read_fragment(t, operands[t]->a_registers, any.bf16);
    }
    read_matrix(source, any.b, any.b_is_n_major, sum->n, any.bf16, site,
                [&](unsigned n, unsigned k, float value) { b[k * sum->n + n] = value; });
  }

  // Register i holds row g + 8 (i % 2), columns 2t + 8 (i / 2) and the next, as with mma.
  void read_fragment(unsigned thread, const unsigned* registers, bool bf16) {
    for (unsigned i = 0; i < 8; ++i) {
      const unsigned row = thread / 32 * 16 + thread % 32 / 4 + 8 * (i / 2 % 2);
      a[row][2 * (thread % 4) + i % 2 + 8 * (i / 4)] =
          widen(static_cast<std::uint16_t>(registers[i / 2] >> (16 * (i % 2))), bf16);
    }
  }

  void complete(const AsyncWork& work) const {
    source.check_unchanged(work);
    const unsigned n = sum->n;
    note_multiply_adds(std::uint64_t{kM} * n * kK);
    if (!accumulate) std::fill(sum->values.begin(), sum->values.end(), 0.0f);
    for (unsigned m = 0; m < kM; ++m) {
      float* row = &sum->values[m * n];
      for (unsigned k = 0; k < kK; ++k) {
        const float factor = a[m][k];
        const float* column = &b[k * n];
        for (unsigned j = 0; j < n; ++j) row[j] += factor * column[j];
      }
    }
  }
};

// ---- accumulators ----

void poison(float* d, unsigned count) { std::fill_n(d, count, std::bit_cast<float>(kPoison)); }

void check_untouched(const float* d, unsigned count, const Site& site) {
  const bool same = std::all_of(
      d, d + count, [](const float& x) { return std::bit_cast<std::uint32_t>(x) == kPoison; });
  if (!same) fault("wgmma: accumulators were written while in flight; wait first", site);
}

void check_fenced(Block& block, unsigned warpgroup, const Site& site) {
  for (unsigned t = 0; t < kThreads; ++t) {
    const Thread& thread = block.first[warpgroup * kThreads + t];
    if (!thread.products_fenced) {
      fault(thread, "wgmma: expects a wgmma.fence behind the last use of its registers", site);
    }
  }
}

std::shared_ptr<Accumulators> fresh(Operands operands, unsigned warpgroup) {
  const unsigned n = operands[0]->n;
  auto sum = std::make_shared<Accumulators>();
  sum->warpgroup = warpgroup;
  sum->n = n;
  sum->values.resize(kM * n);
  for (unsigned t = 0; t < kThreads; ++t) {
    sum->home[t] = operands[t]->d;
    for (unsigned i = 0; i < n / 2; ++i) {
      sum->values[row_of(t, i) * n + column_of(t, i)] = operands[t]->d[i];
    }
  }
  return sum;
}

// Those that are in flight, or new ones with what the threads hold.
std::shared_ptr<Accumulators> accumulators(Block& block, unsigned warpgroup, Operands operands,
                                           const Site& site) {
  const WgmmaOperand& any = *operands[0];
  auto& all = block.accumulators;
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const auto& sum) { return sum->home[0] == any.d; });
  if (at == all.end() || any.a_registers != nullptr) check_fenced(block, warpgroup, site);
  if (at == all.end()) {
    all.push_back(fresh(operands, warpgroup));
    return all.back();
  }
  expect((*at)->n == any.n, "wgmma: expects the shape of what is in flight, n",
         static_cast<std::int64_t>(any.n), site);
  expect((*at)->settled.none(), "wgmma: expects all threads to wait for the same groups, waited",
         static_cast<std::int64_t>((*at)->settled.count()), site);
  for (const WgmmaOperand* operand : operands) check_untouched(operand->d, any.n / 2, site);
  return *at;
}

void check_alike(Operands operands, const Site& site) {
  for (const WgmmaOperand* operand : operands) {
    const WgmmaOperand& any = *operands[0];
    if (operand->a != any.a || operand->b != any.b || operand->accumulate != any.accumulate) {
      fault("wgmma: expects the same descriptors and scale in all four warps, found others", site);
    }
  }
}

void issue(Operands operands, const Site& site) {
  check_alike(operands, site);
  Thread& self = *current_thread();
  Block& block = *self.block;
  const unsigned warpgroup = self.rank / kThreads;
  const WgmmaOperand& any = *operands[0];
  const auto product = std::make_shared<Product>(accumulators(block, warpgroup, operands, site),
                                                 block, any.accumulate);
  product->read_operands(operands, site);
  for (WgmmaOperand* operand : operands) poison(operand->d, any.n / 2);
  const auto position = static_cast<std::uint64_t>(&block - block.gang->blocks().data());
  const Ticket ticket =
      block.gang->async().submit({.what = "wgmma",
                                  .site = site,
                                  .issuer = &self,
                                  .queue = 1 + position * 8 + warpgroup,
                                  .async_proxy = true},
                                 [product](const AsyncWork& work) { product->complete(work); });
  product->sum->last = ticket;
  for (unsigned t = 0; t < kThreads; ++t) {
    block.first[warpgroup * kThreads + t].products.add(ticket, site);
  }
}

}  // namespace

void wgmma(const WgmmaOperand& operand, const Site& site) {
  WgmmaOperand mine = operand;
  const Thread& self = *current_thread();
  expect(self.block->threads >= (self.rank / kThreads + 1) * kThreads,
         "wgmma: expects four whole warps, threads in the block", self.block->threads, site);
  collective(warpgroup(), "wgmma", site, mine, [&](Operands operands) {
    if (operands.size() == kThreads) issue(operands, site);
  });
}

void wgmma_fence(const Site& site) {
  if (!skipped(site)) current_thread()->products_fenced = true;
}

void wgmma_commit() { current_thread()->products.commit(); }

void wgmma_wait(std::uint32_t keep, const Site& site) {
  if (skipped(site)) return;
  Thread& self = *current_thread();
  const std::vector<Ticket> covered = self.products.take_all_but(keep);
  if (covered.empty()) return;
  for (const Ticket ticket : covered) {
    self.block->gang->async().complete(ticket);
    if constexpr (access::kEnabled) access::work_joins(self, ticket);
  }
  const unsigned rank = self.rank % kThreads;
  std::erase_if(self.block->accumulators, [&](const auto& sum) {
    if (sum->warpgroup != self.rank / kThreads || sum->last > covered.back()) return false;
    if (sum->settled[rank]) return false;
    float* d = sum->home[rank];
    check_untouched(d, sum->n / 2, site);
    for (unsigned i = 0; i < sum->n / 2; ++i) {
      d[i] = sum->values[row_of(rank, i) * sum->n + column_of(rank, i)];
    }
    self.products_fenced = false;
    sum->settled.set(rank);
    return sum->settled.all();
  });
}

}  // namespace convoy::sim
