// SPDX-License-Identifier: MIT
// Each convolution of a model, pass by pass: our kernel against the bare oneDNN primitive, in turn.
// This is the only file outside kernels/ that speaks to oneDNN: the library is the opponent here.
#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "apps/bench_cpu/bench.h"
#include "kernels/conv2d.h"
#include "kernels/cpu/onednn.h"

namespace convoy::bench {
namespace {

using dnnl::memory;

struct Layer {
  const char* name;
  Conv2dGeometry g;
};

Layer layer(const char* name, Shape x, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  const std::int64_t padding = kernel / 2;
  return {name, conv2d_geometry(x, {out, kernel, kernel, x[3]},
                                {.stride = {stride, stride}, .padding = {padding, padding}})};
}

// The distinct convolutions of resnet20 at batch 128 and of resnet18 at 64 x 64, batch 32.
std::vector<Layer> layers() {
  return {
      layer("resnet20.conv1", {128, 32, 32, 3}, 16, 3, 1),
      layer("resnet20.layer1", {128, 32, 32, 16}, 16, 3, 1),
      layer("resnet20.layer2.0.conv1", {128, 32, 32, 16}, 32, 3, 2),
      layer("resnet20.layer2", {128, 16, 16, 32}, 32, 3, 1),
      layer("resnet20.layer3.0.conv1", {128, 16, 16, 32}, 64, 3, 2),
      layer("resnet20.layer3", {128, 8, 8, 64}, 64, 3, 1),
      layer("resnet18.conv1", {32, 64, 64, 3}, 64, 7, 2),
      layer("resnet18.layer1", {32, 16, 16, 64}, 64, 3, 1),
      layer("resnet18.layer2.0.conv1", {32, 16, 16, 64}, 128, 3, 2),
      layer("resnet18.layer2.0.downsample", {32, 16, 16, 64}, 128, 1, 2),
      layer("resnet18.layer2", {32, 8, 8, 128}, 128, 3, 1),
      layer("resnet18.layer3.0.conv1", {32, 8, 8, 128}, 256, 3, 2),
      layer("resnet18.layer3.0.downsample", {32, 8, 8, 128}, 256, 1, 2),
      layer("resnet18.layer3", {32, 4, 4, 256}, 256, 3, 1),
      layer("resnet18.layer4.0.conv1", {32, 4, 4, 256}, 512, 3, 2),
      layer("resnet18.layer4.0.downsample", {32, 4, 4, 256}, 512, 1, 2),
      layer("resnet18.layer4", {32, 2, 2, 512}, 512, 3, 1),
  };
}

enum class Pass { forward, backward_input, backward_weight };
constexpr const char* kPassNames[] = {"forward", "backward_input", "backward_weight"};

// A bare primitive with memory of its own in the layouts that it prefers (`any`) or in NHWC.
struct Bare {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
  std::vector<Buffer> buffers;

  void add(int argument, const memory::desc& desc, const dnnl::engine& engine) {
    Buffer& b = buffers.emplace_back(desc.get_size() / sizeof(float));
    fill_random(b.data(), b.size());
    arguments.emplace(argument, memory(desc, engine, b.data()));
  }
};

Bare make_bare(const Conv2dGeometry& g, Pass pass, bool any, const dnnl::engine& engine) {
  constexpr auto f32 = memory::data_type::f32;
  constexpr auto direct = dnnl::algorithm::convolution_direct;
  const auto tag = any ? memory::format_tag::any : memory::format_tag::nhwc;
  const memory::desc x({g.N, g.C, g.H, g.W}, f32, tag), y({g.N, g.K, g.P, g.Q}, f32, tag);
  const memory::desc w({g.K, g.C, g.R, g.S}, f32, memory::format_tag::any);
  const memory::dims stride{g.stride_h, g.stride_w}, pad{g.pad_h, g.pad_w};
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, direct, x, w, y, stride, pad, pad}, engine);
  if (pass == Pass::forward) {
    Bare bare{dnnl::convolution_forward(forward), {}, {}};
    bare.add(DNNL_ARG_SRC, forward.src_desc(), engine);
    bare.add(DNNL_ARG_WEIGHTS, forward.weights_desc(), engine);
    bare.add(DNNL_ARG_DST, forward.dst_desc(), engine);
    return bare;
  }
  if (pass == Pass::backward_input) {
    const dnnl::convolution_backward_data::primitive_desc pd({direct, x, w, y, stride, pad, pad},
                                                             engine, forward);
    Bare bare{dnnl::convolution_backward_data(pd), {}, {}};
    bare.add(DNNL_ARG_DIFF_SRC, pd.diff_src_desc(), engine);
    bare.add(DNNL_ARG_WEIGHTS, pd.weights_desc(), engine);
    bare.add(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), engine);
    return bare;
  }
  const dnnl::convolution_backward_weights::primitive_desc pd({direct, x, w, y, stride, pad, pad},
                                                              engine, forward);
  Bare bare{dnnl::convolution_backward_weights(pd), {}, {}};
  bare.add(DNNL_ARG_SRC, pd.src_desc(), engine);
  bare.add(DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc(), engine);
  bare.add(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), engine);
  return bare;
}

// Our kernel with buffers of its own.
struct Ours {
  explicit Ours(const Conv2dGeometry& geometry) : g(geometry) {
    for (Buffer* b : {&x, &w, &y}) fill_random(b->data(), b->size());
  }
  std::string variant(Pass pass) {
    std::string name;
    with(pass, [&](const auto& op) { name = plan(op, Device{}).variant; });
    return name;
  }
  void run_pass(Pass pass) {
    with(pass, [&](const auto& op) {
      const Plan p = plan(op, Device{});
      if (workspace.size() * sizeof(float) < p.workspace_bytes) {
        workspace = Buffer(p.workspace_bytes / sizeof(float) + 1);
      }
      run(op, p, workspace.data(), Stream{});
    });
  }

 private:
  template <class F>
  void with(Pass pass, F&& f) {
    switch (pass) {
      case Pass::forward:
        return f(Conv2dForward{g, x.data(), w.data(), y.data(), DType::f32});
      case Pass::backward_input:
        return f(Conv2dBackwardInput{g, y.data(), w.data(), x.data(), false, DType::f32});
      default:
        return f(Conv2dBackwardWeight{g, x.data(), y.data(), w.data(), false, nullptr, false,
                                      DType::f32});
    }
  }
  Conv2dGeometry g;
  Buffer x{static_cast<std::size_t>(g.input_shape().count())};
  Buffer w{static_cast<std::size_t>(g.weight_shape().count())};
  Buffer y{static_cast<std::size_t>(g.output_shape().count())};
  Buffer workspace{1};
};

Row compare(const Layer& l, Pass pass, double seconds) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  Bare any = make_bare(l.g, pass, true, engine), nhwc = make_bare(l.g, pass, false, engine);
  Ours ours(l.g);
  const std::vector<double> best =
      best_in_turn({[&] { ours.run_pass(pass); },
                    [&] { any.primitive.execute(stream, any.arguments), stream.wait(); },
                    [&] { nhwc.primitive.execute(stream, nhwc.arguments), stream.wait(); }},
                   seconds);
  return {l.name,
          kPassNames[static_cast<int>(pass)],
          ours.variant(pass),
          best[1] <= best[2] ? "any" : "nhwc",
          best[0],
          std::min(best[1], best[2])};
}

}  // namespace

std::vector<Row> conv_layers(const std::string& filter, double seconds) {
  std::vector<Row> rows;
  for (const Layer& l : layers()) {
    if (std::string(l.name).find(filter) == std::string::npos) continue;
    for (const Pass pass : {Pass::forward, Pass::backward_input, Pass::backward_weight}) {
      // The gradient to the images is never asked for.
      if (pass == Pass::backward_input && l.g.C == 3) continue;
      rows.push_back(compare(l, pass, seconds));
    }
  }
  return rows;
}

}  // namespace convoy::bench
