// SPDX-License-Identifier: MIT
#include "runtime/ops/conv2d_norm_act.h"

#include "kernels/conv2d.h"
#include "kernels/norm_act.h"
#include "runtime/autograd.h"
#include "runtime/ops/batch_norm.h"
#include "runtime/ops/conv2d.h"
#include "runtime/run.h"

namespace convoy {
namespace {

// What the tape keeps of a norm that is left to its readers, and what they tell it back.
struct NormState {
  Saved raw, lines;
  Saved z;  // where a shortcut joined, or somebody asked for it
  bool relu = false;
  // The gradient that arrives is g already, and `sums` are its sums: the last reader has seen to
  // it.
  bool complete = false;
  Tensor sums;  // [2, K]

  const NormLine* line_data() const { return static_cast<const NormLine*>(lines.data()); }
  const void* z_data() const { return z.defined() ? z.data() : nullptr; }
};

}  // namespace

struct Normed::Pending {
  Tensor raw;             // on the tape; its gradient is that of z
  Tensor residual;        // memory of the shortcut: z, or raw with lines
  Tensor residual_lines;  // undefined: the residual as it is
  std::shared_ptr<NormState> state;
  Tensor z;  // memory, once applied

  const Tensor& applied();
};

namespace {

constexpr std::int64_t kLineFloats = sizeof(NormLine) / sizeof(float);

NormLine* lines_of(const Tensor& t) { return static_cast<NormLine*>(t.data()); }
float* floats_of(const Tensor& t) { return static_cast<float*>(t.data()); }
const void* data_or_null(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

std::int64_t rows_of(const Shape& shape) { return shape.count() / shape.back(); }

}  // namespace

const Tensor& Normed::Pending::applied() {
  if (z.defined()) return z;
  z = empty(raw.shape(), raw.like());
  run(NormAct{.rows = rows_of(raw.shape()),
              .channels = raw.shape().back(),
              .x = raw.data(),
              .lines = state->line_data(),
              .residual = data_or_null(residual),
              .residual_lines = residual_lines.defined() ? lines_of(residual_lines) : nullptr,
              .y = z.data(),
              .relu = state->relu,
              .dtype = raw.dtype()},
      raw.stream());
  state->z = save(z);
  return z;
}

Tensor Normed::tensor() const {
  if (!pending_) return z_;
  return record("norm_act", pending_->applied().detach(), {pending_->raw},
                [](const Tensor& dz, Grads& grads) { grads.pass(0, dz); });
}

namespace {

// What a convolution's backward keeps. Inputs 0 to 4: x, weight, scale, bias, shortcut.
struct Keep {
  Conv2dGeometry g;
  Saved x, weight;                    // x as the convolution read it
  std::shared_ptr<NormState> before;  // the norm of x, if its reader is told of the gradient
  bool normed_on_load;
  std::shared_ptr<NormState> own;

  Prologue prologue() const {
    return normed_on_load ? Prologue{before->line_data(), before->relu} : Prologue{};
  }
};

// The gradient behind shortcut and ReLU, and its sums.
Tensor masked(NormState& state, const Tensor& dz) {
  if (state.complete) return dz;
  const Tensor g = state.relu ? empty(dz.shape(), dz.like()) : dz;
  state.sums = empty({2, dz.shape().back()}, {DType::f32, dz.device()});
  run(NormActBackward{.rows = rows_of(dz.shape()),
                      .channels = dz.shape().back(),
                      .dy = dz.data(),
                      .x = state.raw.data(),
                      .lines = state.line_data(),
                      .y = state.z_data(),
                      .g = state.relu ? g.data() : nullptr,
                      .sums = floats_of(state.sums),
                      .relu = state.relu,
                      .dtype = dz.dtype()},
      dz.stream());
  return g;
}

// Writes the gradients of scale and bias; gives what turns g into the gradient of the raw output.
Tensor gradient_lines(const NormState& state, const Shape& shape, Grads& grads,
                      const Stream& stream) {
  const std::int64_t channels = shape.back();
  const Tensor out = empty({channels, kLineFloats}, {DType::f32, stream.device});
  NormGradientLines op{.rows = rows_of(shape),
                       .channels = channels,
                       .lines = state.line_data(),
                       .sum = floats_of(state.sums),
                       .dot = floats_of(state.sums) + channels,
                       .d_scale = nullptr,
                       .d_bias = nullptr,
                       .out = static_cast<NormGradientLine*>(out.data()),
                       .accumulate_scale = false,
                       .accumulate_bias = false,
                       .grad_dtype = grads.kept_in({2, 3}).value_or(DType::f32)};
  if (grads.needs(2)) {
    const GradDestination to = grads.into(2, op.grad_dtype);
    op.d_scale = to.data(), op.accumulate_scale = to.accumulate;
  }
  if (grads.needs(3)) {
    const GradDestination to = grads.into(3, op.grad_dtype);
    op.d_bias = to.data(), op.accumulate_bias = to.accumulate;
  }
  run(op, stream);
  return out;
}

// An op, and the memory that it names.
template <class Op>
struct Prepared {
  Op op;
  GradDestination to;
};

Prepared<Conv2dBackwardWeight> weight_gradient(const Keep& keep, const Tensor& g,
                                               const GradientPrologue& prologue, Grads& grads) {
  const GradDestination to = grads.into(1, grads.kept_in({1}));
  return {{.g = keep.g,
           .x = keep.x.data(),
           .dy = g.data(),
           .dweight = to.data(),
           .accumulate = to.accumulate,
           .dbias = nullptr,
           .accumulate_bias = false,
           .dtype = g.dtype(),
           .grad_dtype = to.tensor.dtype(),
           .prologue = keep.prologue(),
           .gradient_prologue = prologue},
          to};
}

// As the last reader of a norm's output, it also completes that norm's gradient.
Prepared<Conv2dBackwardInput> input_gradient(const Keep& keep, const Tensor& g,
                                             const GradientPrologue& prologue, Grads& grads) {
  const bool completes = keep.before != nullptr && grads.last(0);
  const GradDestination to = grads.into_adding(0);
  Conv2dBackwardInput op{.g = keep.g,
                         .dy = g.data(),
                         .weight = keep.weight.data(),
                         .dx = to.data(),
                         .accumulate = to.accumulate,
                         .dtype = g.dtype(),
                         .prologue = prologue};
  op.epilogue.addend = data_or_null(to.addend);
  if (completes) {
    NormState& before = *keep.before;
    before.sums = empty({2, keep.g.C}, {DType::f32, g.device()});
    op.epilogue.raw = before.raw.data();
    op.epilogue.lines = before.line_data();
    op.epilogue.z = before.z_data();
    op.epilogue.relu = before.relu;
    op.epilogue.sums = floats_of(before.sums);
    before.complete = true;
  }
  return {op, to};
}

void backward(const Keep& keep, const Tensor& dz, Grads& grads) {
  const Tensor g = masked(*keep.own, dz);
  const Tensor lines = gradient_lines(*keep.own, g.shape(), grads, g.stream());
  const GradientPrologue prologue{keep.own->raw.data(),
                                  static_cast<const NormGradientLine*>(lines.data())};
  if (grads.needs(0) && grads.needs(1)) {
    const auto input = input_gradient(keep, g, prologue, grads);
    const auto weight = weight_gradient(keep, g, prologue, grads);
    run(Conv2dBackward{input.op, weight.op}, g.stream());
  } else if (grads.needs(1)) {
    run(weight_gradient(keep, g, prologue, grads).op, g.stream());
  } else if (grads.needs(0)) {
    run(input_gradient(keep, g, prologue, grads).op, g.stream());
  }
  grads.pass(4, g);
}

// What joins the norm's output: memory, its lines if it is raw, and its place on the tape.
struct Shortcut {
  Tensor memory, lines, on_tape;
};

Normed composed(const Tensor& x, const Tensor& weight, const Conv2dOptions& options,
                const NormOperands& n, bool relu, const Tensor& shortcut) {
  return batch_norm_act(conv2d(x, weight, {}, options), n.scale, n.bias, n.running_mean,
                        n.running_var, true, n.momentum, n.eps, shortcut, relu);
}

void require_channels(const char* what, const Tensor& t, std::int64_t channels, DType dtype) {
  if (!t.defined()) return;
  require(t.shape() == Shape{channels} && t.dtype() == dtype && t.is_contiguous(),
          "conv2d_norm_act: {} expects dense {} of shape [{}], found {} of shape {}", what, dtype,
          channels, t.dtype(), t.shape());
}

void check_operands(const Tensor& x, const Tensor& weight, const NormOperands& n,
                    const Conv2dGeometry& g, const Tensor& shortcut) {
  require(weight.dtype() == x.dtype(), "conv2d_norm_act: weight expects x's dtype {}, found {}",
          x.dtype(), weight.dtype());
  require_channels("scale", n.scale, g.K, x.dtype());
  require_channels("bias", n.bias, g.K, x.dtype());
  require_channels("running_mean", n.running_mean, g.K, DType::f32);
  require_channels("running_var", n.running_var, g.K, DType::f32);
  require(n.running_mean.defined() == n.running_var.defined(),
          "conv2d_norm_act: running_mean and running_var expect to be given together, found one");
  require(!shortcut.defined() ||
              (shortcut.shape() == g.output_shape() && shortcut.dtype() == x.dtype()),
          "conv2d_norm_act: shortcut expects {} of shape {}, found {} of shape {}", x.dtype(),
          g.output_shape(), shortcut.defined() ? shortcut.dtype() : x.dtype(),
          shortcut.defined() ? shortcut.shape() : Shape{});
  require(g.N * g.P * g.Q > 1,
          "conv2d_norm_act: expects more than one pixel per channel, found output shape {}",
          g.output_shape());
}

// The lines of the statistics that the convolution took.
Tensor norm_lines(const Tensor& mean, const Tensor& var, const NormOperands& n, const Tensor& raw) {
  const std::int64_t channels = raw.shape().back();
  const Tensor lines = empty({channels, kLineFloats}, mean.like());
  run(
      NormLinesFromBatch{
          .rows = rows_of(raw.shape()),
          .channels = channels,
          .mean = floats_of(mean),
          .var = floats_of(var),
          .scale = data_or_null(n.scale),
          .bias = data_or_null(n.bias),
          .running_mean = n.running_mean.defined() ? floats_of(n.running_mean) : nullptr,
          .running_var = n.running_var.defined() ? floats_of(n.running_var) : nullptr,
          .lines = lines_of(lines),
          .momentum = n.momentum,
          .eps = n.eps,
          .dtype = raw.dtype()},
      raw.stream());
  if (n.running_mean.defined()) n.running_mean.bump_version(), n.running_var.bump_version();
  return lines;
}

}  // namespace

Normed conv2d_norm_act(const Normed& x, const Tensor& weight, const Conv2dOptions& options,
                       const NormOperands& norm, bool relu, const Normed& shortcut) {
  const auto pending = x.pending_;
  const Tensor on_tape = pending ? pending->raw : x.z_;
  if (on_tape.device().type == DeviceType::cpu || options.groups != 1) {
    return composed(x.tensor(), weight, options, norm, relu, shortcut.tensor());
  }
  Shortcut joins{shortcut.z_, {}, shortcut.z_};
  if (const auto& p = shortcut.pending_) {
    const bool raw = !p->state->relu && !p->residual.defined() && !p->z.defined();
    joins = raw ? Shortcut{p->raw, p->state->lines.tensor(), p->raw}
                : Shortcut{p->applied(), {}, p->raw};
  }
  if (joins.memory.defined()) joins.memory = joins.memory.contiguous();
  const Conv2dGeometry g = conv2d_geometry(on_tape.shape(), weight.shape(), options);
  check_operands(on_tape, weight, norm, g, joins.memory);

  // A norm with a shortcut is applied once, for all who read it.
  const bool on_load = pending && !pending->residual.defined() && !pending->z.defined();
  const Tensor in = on_load ? pending->raw : pending ? pending->applied() : on_tape.contiguous();
  const Tensor wc = weight.contiguous(), y = empty(g.output_shape(), on_tape.like());
  const Tensor mean = empty({g.K}, {DType::f32, y.device()}), var = empty({g.K}, mean.like());
  Keep keep{g,        save(in),
            save(wc), pending ? pending->state : nullptr,
            on_load,  std::make_shared<NormState>()};
  run(Conv2dForward{.g = g,
                    .x = in.data(),
                    .weight = wc.data(),
                    .y = y.data(),
                    .dtype = y.dtype(),
                    .prologue = keep.prologue(),
                    .epilogue = {.statistics = {floats_of(mean), floats_of(var)}}},
      y.stream());
  keep.own->raw = save(y);
  keep.own->lines = save(norm_lines(mean, var, norm, y));
  keep.own->relu = relu;

  const auto result = std::make_shared<Normed::Pending>();
  result->residual = joins.memory.defined() ? joins.memory.detach() : Tensor();
  result->residual_lines = joins.lines;
  result->state = keep.own;
  result->raw =
      record("conv2d_norm_act", y, {on_tape, weight, norm.scale, norm.bias, joins.on_tape},
             [keep](const Tensor& dz, Grads& grads) { backward(keep, dz, grads); });
  return Normed(result);
}

}  // namespace convoy
