// SPDX-License-Identifier: MIT
#include "kernels/cpu/conv2d_onednn.h"

#include <string_view>

#include "kernels/cpu/carver.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

struct Entry {
  dnnl::primitive convolution;  // empty: oneDNN has no quick kernel for this
  dnnl::primitive reorder;      // filters to or from the primitive's layout; may be empty
  memory::desc x, y, bias, filters, inner;  // inner: the filters as the primitive wants them
  memory::desc scratch;
};

struct Descriptors {
  memory::desc x, y, bias, filters, any_filters;
  memory::dims stride, dilation, padding;
};

Descriptors describe(const Conv2dGeometry& g, bool bias) {
  constexpr auto f32 = memory::data_type::f32;
  memory::dims filters{g.K, g.C / g.groups, g.R, g.S};
  if (g.groups > 1) filters = {g.groups, g.K / g.groups, g.C / g.groups, g.R, g.S};
  Descriptors d;
  d.x = {{g.N, g.C, g.H, g.W}, f32, Tag::nhwc};
  d.y = {{g.N, g.K, g.P, g.Q}, f32, Tag::nhwc};
  if (bias) d.bias = {{g.K}, f32, Tag::x};
  d.filters = {filters, f32, g.groups > 1 ? Tag::gohwi : Tag::ohwi};
  d.any_filters = {filters, f32, Tag::any};
  d.stride = {g.stride_h, g.stride_w};
  d.dilation = {g.dilation_h - 1, g.dilation_w - 1};
  d.padding = {g.pad_h, g.pad_w};
  return d;
}

template <class PrimitiveDesc>
bool is_named(const PrimitiveDesc& pd, std::string_view part) {
  return std::string_view(pd.impl_info_str()).find(part) != std::string_view::npos;
}

// oneDNN 2.6 offers its batch-reduce kernels first on NHWC. Its older direct ones are quicker for
// depthwise layers and for few input channels, by a fifth on small maps.
bool direct_is_quicker(const Conv2dGeometry& g) {
  return (g.groups > 1 && g.groups == g.C) || (g.R * g.S > 1 && g.C < 128);
}

dnnl::convolution_forward::primitive_desc describe_forward(const Conv2dGeometry& g,
                                                           const Descriptors& d) {
  // A primitive descriptor walks on to the next implementation only while this one lives.
  const dnnl::convolution_forward::desc desc(
      dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, d.x, d.any_filters,
      d.bias, d.y, d.stride, d.dilation, d.padding, d.padding);
  using Described = dnnl::convolution_forward::primitive_desc;
  const Described first(desc, onednn_attributes(), onednn_engine());
  if (!is_named(first, "br") || !direct_is_quicker(g)) return first;
  Described next(desc, onednn_attributes(), onednn_engine());
  return next.next_impl() && is_named(next, "avx512") ? next : first;
}

// The reorder between KRSC and the primitive's layout; adds to KRSC where `accumulate` says so.
dnnl::primitive make_reorder(const memory::desc& from, const memory::desc& to, bool accumulate) {
  dnnl::primitive_attr attributes = onednn_attributes();
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  return dnnl::reorder({onednn_engine(), from, onednn_engine(), to, attributes});
}

template <class Primitive, class PrimitiveDesc>
Entry finish(const Descriptors& d, const PrimitiveDesc& pd, const memory::desc& inner,
             Conv2dPass pass, bool accumulate) {
  if (is_named(pd, "ref")) return {};
  Entry e{Primitive(pd), {}, d.x, d.y, d.bias, d.filters, inner, pd.scratchpad_desc()};
  const bool to_krsc = pass == Conv2dPass::backward_weight;
  if (inner != d.filters || (to_krsc && accumulate)) {
    e.reorder = to_krsc ? make_reorder(inner, d.filters, accumulate)
                        : make_reorder(d.filters, inner, false);
  }
  return e;
}

Entry build(const Conv2dGeometry& g, Conv2dPass pass, bool bias, bool accumulate) {
  const Descriptors d = describe(g, bias);
  const auto forward = describe_forward(g, d);
  constexpr auto direct = dnnl::algorithm::convolution_direct;
  if (pass == Conv2dPass::forward) {
    return finish<dnnl::convolution_forward>(d, forward, forward.weights_desc(), pass, false);
  }
  if (pass == Conv2dPass::backward_input) {
    const dnnl::convolution_backward_data::primitive_desc pd(
        {direct, d.x, d.any_filters, d.y, d.stride, d.dilation, d.padding, d.padding},
        onednn_attributes(), onednn_engine(), forward);
    return finish<dnnl::convolution_backward_data>(d, pd, pd.weights_desc(), pass, false);
  }
  const dnnl::convolution_backward_weights::primitive_desc pd(
      {direct, d.x, d.any_filters, d.y, d.stride, d.dilation, d.padding, d.padding},
      onednn_attributes(), onednn_engine(), forward);
  return finish<dnnl::convolution_backward_weights>(d, pd, pd.diff_weights_desc(), pass,
                                                    accumulate);
}

std::shared_ptr<const Entry> find(const Conv2dGeometry& g, Conv2dPass pass, bool bias,
                                  bool accumulate) {
  static PrimitiveCache<Entry> cache;
  const PrimitiveKey key{static_cast<std::int64_t>(pass),
                         bias,
                         accumulate,
                         g.N,
                         g.C,
                         g.H,
                         g.W,
                         g.K,
                         g.R,
                         g.S,
                         g.stride_h,
                         g.stride_w,
                         g.pad_h,
                         g.pad_w,
                         g.dilation_h,
                         g.dilation_w,
                         g.groups};
  try {
    return cache.get(key, [&] { return build(g, pass, bias, accumulate); });
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented) return std::make_shared<const Entry>();
    onednn_failed("conv2d", error);
  }
}

struct Workspace {
  const void *filters, *scratch, *dx;
};

// dx: where the gradient is computed before it is added.
Workspace carve(Carver& carver, const Entry& e, bool dx) {
  Workspace w{};
  if (e.reorder) w.filters = carver.take<std::byte>(e.inner.get_size());
  w.scratch = carver.take<std::byte>(e.scratch.get_size());
  if (dx) w.dx = carver.take<std::byte>(e.x.get_size());
  return w;
}

void reorder(const Entry& e, const void* krsc, const void* inner, bool to_krsc) {
  const memory outside = onednn_memory(e.filters, krsc), inside = onednn_memory(e.inner, inner);
  e.reorder.execute(onednn_stream(), {{DNNL_ARG_FROM, to_krsc ? inside : outside},
                                      {DNNL_ARG_TO, to_krsc ? outside : inside}});
}

}  // namespace

std::optional<std::size_t> conv2d_onednn_workspace(const Conv2dGeometry& g, Conv2dPass pass,
                                                   bool bias, bool accumulate) {
  const auto e = find(g, pass, bias, pass == Conv2dPass::backward_weight && accumulate);
  if (!e->convolution) return std::nullopt;
  Carver carver;
  carve(carver, *e, pass == Conv2dPass::backward_input && accumulate);
  return carver.used();
}

void conv2d_onednn(const Conv2dForward& op, void* workspace) {
  const auto e = find(op.g, Conv2dPass::forward, op.epilogue.bias != nullptr, false);
  Carver carver(workspace);
  const Workspace ws = carve(carver, *e, false);
  if (e->reorder) reorder(*e, op.weight, ws.filters, false);
  e->convolution.execute(
      onednn_stream(),
      {{DNNL_ARG_SRC, onednn_memory(e->x, op.x)},
       {DNNL_ARG_WEIGHTS, onednn_memory(e->inner, e->reorder ? ws.filters : op.weight)},
       {DNNL_ARG_BIAS, onednn_memory(e->bias, op.epilogue.bias)},
       {DNNL_ARG_DST, onednn_memory(e->y, op.y)},
       {DNNL_ARG_SCRATCHPAD, onednn_memory(e->scratch, ws.scratch)}});
}

void conv2d_onednn(const Conv2dBackwardInput& op, void* workspace) {
  const auto e = find(op.g, Conv2dPass::backward_input, false, false);
  Carver carver(workspace);
  const Workspace ws = carve(carver, *e, op.accumulate);
  if (e->reorder) reorder(*e, op.weight, ws.filters, false);
  e->convolution.execute(
      onednn_stream(),
      {{DNNL_ARG_DIFF_SRC, onednn_memory(e->x, op.accumulate ? ws.dx : op.dx)},
       {DNNL_ARG_WEIGHTS, onednn_memory(e->inner, e->reorder ? ws.filters : op.weight)},
       {DNNL_ARG_DIFF_DST, onednn_memory(e->y, op.dy)},
       {DNNL_ARG_SCRATCHPAD, onednn_memory(e->scratch, ws.scratch)}});
  if (!op.accumulate) return;
  const float* from = static_cast<const float*>(ws.dx);
  float* to = static_cast<float*>(op.dx);
  parallel_for(op.g.input_shape().count(), 16384, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

void conv2d_onednn(const Conv2dBackwardWeight& op, void* workspace) {
  const auto e = find(op.g, Conv2dPass::backward_weight, false, op.accumulate);
  Carver carver(workspace);
  const Workspace ws = carve(carver, *e, false);
  e->convolution.execute(
      onednn_stream(),
      {{DNNL_ARG_SRC, onednn_memory(e->x, op.x)},
       {DNNL_ARG_DIFF_DST, onednn_memory(e->y, op.dy)},
       {DNNL_ARG_DIFF_WEIGHTS, onednn_memory(e->inner, e->reorder ? ws.filters : op.dweight)},
       {DNNL_ARG_SCRATCHPAD, onednn_memory(e->scratch, ws.scratch)}});
  if (e->reorder) reorder(*e, op.dweight, ws.filters, true);
}

}  // namespace convoy::on_cpu
