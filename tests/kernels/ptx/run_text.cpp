// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/run_text.h"

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/module.h"
#include "tests/kernels/ptx/text.h"

namespace convoy::ptx {
namespace {

const char* const kHead = R"(
.version 9.0
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 dynamic[];
.visible .entry lines(
.param .u64 out
)
{
.reg .pred %p<8>;
.reg .b16 %rs<8>;
.reg .b32 %r<32>;
.reg .b64 %rd<16>;
.reg .f32 %f<16>;
.reg .f64 %fd<16>;
mov.u32 %r1, %tid.x;
mov.u32 %r2, %ctaid.x;
mov.u32 %r3, %ntid.x;
mad.lo.s32 %r0, %r2, %r3, %r1;
ld.param.u64 %rd1, [out];
mov.u64 %rd0, 0;
)";
const char* const kTail = R"(
mul.wide.u32 %rd2, %r0, 8;
add.s64 %rd1, %rd1, %rd2;
st.global.u64 [%rd1], %rd0;
ret;
}
)";

struct Known {
  Known(const void* begin, std::size_t bytes) : place(begin) { add_memory(place, bytes); }
  ~Known() { remove_memory(place); }
  const void* place;
};

}  // namespace

std::vector<std::uint64_t> run_lines(const std::string& lines, const How& how) {
  Module module(kHead + lines + kTail);
  const std::size_t count = how.grid.count() * how.block.count();
  std::vector<std::uint64_t> memory(count + 8);
  auto* const results = reinterpret_cast<std::uint64_t*>(
      rounded_up(reinterpret_cast<std::uintptr_t>(memory.data()), 64));
  alignas(64) void* parameters[8] = {results};
  const Known known(results, count * sizeof results[0]);
  const Known known_parameters(parameters, sizeof parameters);
  Launch launch;
  launch.kernel = module.kernel("lines");
  launch.grid = how.grid, launch.block = how.block, launch.cluster = how.cluster;
  launch.resident = how.resident, launch.dynamic_shared = how.dynamic_shared;
  launch.parameters = reinterpret_cast<const std::uint8_t*>(parameters);
  Counts counts(*launch.kernel);
  launch.counts = how.total != nullptr ? &counts : nullptr;
  run(launch);
  if (how.total != nullptr) *how.total = counts.total();
  return {results, results + count};
}

}  // namespace convoy::ptx
