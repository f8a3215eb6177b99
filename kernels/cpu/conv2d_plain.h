// SPDX-License-Identifier: MIT
#pragma once
// The convolution's three passes as plain loops: every geometry, f32 and f64, no workspace. Used
// where a library call would cost more than the work, and for f64. Sums run in a fixed order,
// whatever the number of threads.

#include "kernels/conv2d.h"

namespace convoy::on_cpu {

template <class T>
void conv2d_forward_plain(const Conv2dForward& op);
template <class T>
void conv2d_backward_input_plain(const Conv2dBackwardInput& op);
template <class T>
void conv2d_backward_weight_plain(const Conv2dBackwardWeight& op);  // dweight only

// dbias[k] = sum of dy over [N, P, Q]; the partial sums of fixed blocks of rows are added in order.
template <class T>
void conv2d_backward_bias(const Conv2dBackwardWeight& op, T* partial);
// How many values `partial` holds.
std::int64_t conv2d_bias_partials(const Conv2dGeometry& g);

}  // namespace convoy::on_cpu
