// SPDX-License-Identifier: MIT
#include "runtime/ops/batch_norm.h"

#include <array>

#include "kernels/batch_norm.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

void require_channels(const char* what, const Tensor& t, const Tensor& x, DType dtype) {
  if (!t.defined()) return;
  require(t.shape() == Shape{x.shape().back()} && t.dtype() == dtype,
          "batch_norm: {} expects {} of shape [{}] for x of shape {}, found {} of shape {}", what,
          dtype, x.shape().back(), x.shape(), t.dtype(), t.shape());
}

void check_operands(const Tensor& x, const Tensor& scale, const Tensor& bias, const Tensor& mean,
                    const Tensor& var, const Tensor& residual) {
  require(x.rank() >= 2, "batch_norm: x expects shape [..., C] of 2 or more dimensions, found {}",
          x.shape());
  require_channels("scale", scale, x, x.dtype());
  require_channels("bias", bias, x, x.dtype());
  require_channels("running_mean", mean, x, statistics_dtype(x.dtype()));
  require_channels("running_var", var, x, statistics_dtype(x.dtype()));
  require(mean.defined() == var.defined(),
          "batch_norm: running_mean and running_var expect to be given together, found only one");
  require(!mean.defined() || (mean.is_contiguous() && var.is_contiguous()),
          "batch_norm: the running estimates expect dense memory, found views with strides");
  require(!residual.defined() || (residual.shape() == x.shape() && residual.dtype() == x.dtype()),
          "batch_norm: residual expects x's shape {} and dtype {}, found {} and {}", x.shape(),
          x.dtype(), residual.defined() ? residual.shape() : Shape{},
          residual.defined() ? residual.dtype() : x.dtype());
}

Tensor dense(const Tensor& t) { return t.defined() ? t.contiguous() : t; }
void* data_or_null(const Tensor& t) { return t.defined() ? t.data() : nullptr; }
const void* data_or_null(const Saved& s) { return s.defined() ? s.data() : nullptr; }

// What the backward keeps: x, and y only where the mask cannot be worked out from x alone.
struct Keep {
  Saved x, y, scale, bias, mean, rstd;
  std::int64_t rows, channels;
  bool training, relu, residual_is_x;
  // Of rows that are spread over ranks:
  std::shared_ptr<RankExchange> ranks;
  Saved moments;  // [ranks, 1 + 2 channels]
};

// What each rank has of n values, as `write` leaves its own.
template <class Write>
Tensor gather(RankExchange& ranks, std::int64_t n, const Device& device, Write&& write) {
  const TensorOptions options{DType::f64, device};
  const Tensor own = empty({n}, options), each = empty({ranks.world_size(), n}, options);
  write(own.as<double>());
  ranks.gather(own, each);
  return each;
}

// Lets the others know what dy gives each channel: gradients of scale and bias, and then, for the
// rest of `op`, the sums of all.
Tensor sum_over_ranks(const Keep& keep, BatchNormBackward& op, const Stream& stream) {
  const Tensor each = gather(*keep.ranks, 2 * keep.channels, stream.device, [&](double* own) {
    BatchNormBackward sums = op;
    sums.dx = sums.d_residual = nullptr;
    sums.sums.own = own;
    run(sums, stream);
  });
  op.d_scale = op.d_bias = nullptr;
  op.sums = {nullptr, each.as<double>(), keep.ranks->world_size()};
  op.moments = {nullptr, static_cast<const double*>(keep.moments.data()), op.sums.ranks};
  return each;
}

// Inputs 0 to 3: x, scale, bias, residual.
void backward(const Keep& keep, const Tensor& dy, Grads& grads) {
  BatchNormBackward op{.rows = keep.rows,
                       .channels = keep.channels,
                       .x = keep.x.data(),
                       .y = data_or_null(keep.y),
                       .dy = dy.data(),
                       .scale = data_or_null(keep.scale),
                       .bias = data_or_null(keep.bias),
                       .mean = keep.mean.data(),
                       .rstd = keep.rstd.data(),
                       .training = keep.training,
                       .relu = keep.relu,
                       .dtype = dy.dtype()};
  op.grad_dtype = grads.kept_in({1, 2});
  const auto into = [&grads](int i, void*& data, bool& accumulate,
                             std::optional<DType> dtype = {}) {
    if (!grads.needs(i)) return;
    const GradDestination to = grads.into(i, dtype);
    data = to.data(), accumulate = to.accumulate;
  };
  into(0, op.dx, op.accumulate);
  into(1, op.d_scale, op.accumulate_scale, op.grad_dtype);
  into(2, op.d_bias, op.accumulate_bias, op.grad_dtype);
  // bn(x) + x: one destination for two gradients, which the kernel cannot write at once.
  Tensor apart;
  if (keep.residual_is_x) {
    apart = empty(dy.shape(), dy.like());
    op.d_residual = apart.data();
  } else if (keep.relu) {
    into(3, op.d_residual, op.accumulate_residual);
  }
  Tensor sums;
  if (keep.ranks != nullptr) sums = sum_over_ranks(keep, op, dy.stream());
  run(op, dy.stream());
  if (apart.defined()) {
    grads.pass(3, apart);
  } else if (!keep.relu) {
    grads.pass(3, dy);
  }
}

Tensor normalise(const Tensor& x, const Tensor& scale, const Tensor& bias,
                 const Tensor& running_mean, const Tensor& running_var, bool training,
                 double momentum, double eps, const Tensor& residual, bool relu,
                 const std::shared_ptr<RankExchange>& ranks) {
  check_operands(x, scale, bias, running_mean, running_var, residual);
  const std::int64_t channels = x.shape().back(), rows = channels > 0 ? x.count() / channels : 0;
  const Tensor xc = x.contiguous(), rc = dense(residual), sc = dense(scale), bc = dense(bias);
  const TensorOptions statistics{statistics_dtype(x.dtype()), x.device()};
  const Tensor mean = empty({channels}, statistics), rstd = empty({channels}, statistics);
  const Tensor y = empty(x.shape(), x.like());
  BatchNormForward op{.rows = rows,
                      .channels = channels,
                      .x = xc.data(),
                      .residual = data_or_null(rc),
                      .scale = data_or_null(sc),
                      .bias = data_or_null(bc),
                      .running_mean = data_or_null(running_mean),
                      .running_var = data_or_null(running_var),
                      .mean = mean.data(),
                      .rstd = rstd.data(),
                      .y = y.data(),
                      .momentum = momentum,
                      .eps = eps,
                      .training = training,
                      .relu = relu,
                      .dtype = x.dtype()};
  Tensor moments;
  if (ranks != nullptr) {
    moments = gather(*ranks, 1 + 2 * channels, x.device(), [&](double* own) {
      BatchNormForward sums = op;
      sums.moments.own = own;
      run(sums, x.stream());
    });
    op.moments = {nullptr, moments.as<double>(), ranks->world_size()};
  }
  run(op, x.stream());
  if (training && running_mean.defined()) running_mean.bump_version(), running_var.bump_version();

  const bool needs_y = relu && residual.defined();
  const Keep keep{save(xc),
                  needs_y ? save(y) : Saved(),
                  save(sc),
                  save(bc),
                  save(mean),
                  save(rstd),
                  rows,
                  channels,
                  training,
                  relu,
                  residual.defined() && residual.impl() == x.impl(),
                  ranks,
                  save(moments)};
  const auto back = [keep](const Tensor& dy, Grads& grads) { backward(keep, dy, grads); };
  if (ranks != nullptr)
    return record("synchronised_batch_norm", y, {x, scale, bias, residual}, back);
  if (!relu && !residual.defined())
    return record("batch_norm", y, {x, scale, bias, residual}, back);
  return record("batch_norm_act", y, {x, scale, bias, residual}, back);
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& scale, const Tensor& bias,
                  const Tensor& running_mean, const Tensor& running_var, bool training,
                  double momentum, double eps) {
  return batch_norm_act(x, scale, bias, running_mean, running_var, training, momentum, eps, {},
                        false);
}

Tensor batch_norm_act(const Tensor& x, const Tensor& scale, const Tensor& bias,
                      const Tensor& running_mean, const Tensor& running_var, bool training,
                      double momentum, double eps, const Tensor& residual, bool relu) {
  return normalise(x, scale, bias, running_mean, running_var, training, momentum, eps, residual,
                   relu, nullptr);
}

Tensor synchronised_batch_norm_act(const Tensor& x, const Tensor& scale, const Tensor& bias,
                                   const Tensor& running_mean, const Tensor& running_var,
                                   double momentum, double eps, const Tensor& residual, bool relu,
                                   std::shared_ptr<RankExchange> ranks) {
  require(ranks != nullptr,
          "synchronised_batch_norm: expects an exchange between ranks, found none");
  return normalise(x, scale, bias, running_mean, running_var, true, momentum, eps, residual, relu,
                   ranks);
}

void batch_norm_act_(const Tensor& x, const Tensor& scale, const Tensor& bias,
                     const Tensor& running_mean, const Tensor& running_var, double eps,
                     const Tensor& residual, bool relu) {
  check_operands(x, scale, bias, running_mean, running_var, residual);
  const std::array<Input, 4> inputs{x, scale, bias, residual};
  require(!must_record(inputs), "batch_norm_act_: expects no gradients, be under NoGrad");
  require(
      x.is_contiguous() && running_mean.defined(),
      "batch_norm_act_: expects dense x and running estimates, found x of shape {} with strides "
      "{}",
      x.shape(), x.strides());
  const Tensor rc = dense(residual), sc = dense(scale), bc = dense(bias);
  const std::int64_t channels = x.shape().back();
  run(BatchNormForward{.rows = channels > 0 ? x.count() / channels : 0,
                       .channels = channels,
                       .x = x.data(),
                       .residual = data_or_null(rc),
                       .scale = data_or_null(sc),
                       .bias = data_or_null(bc),
                       .running_mean = running_mean.data(),
                       .running_var = running_var.data(),
                       .y = x.data(),
                       .eps = eps,
                       .training = false,
                       .relu = relu,
                       .dtype = x.dtype()},
      x.stream());
  x.bump_version();
}

}  // namespace convoy
