// SPDX-License-Identifier: MIT
#pragma once
// Every differentiable op. Each stem's header declares its functions; its .cpp holds forward and
// backward on one screen.

#include "runtime/ops/batch_norm.h"
#include "runtime/ops/binary.h"
#include "runtime/ops/cast.h"
#include "runtime/ops/concat.h"
#include "runtime/ops/conv2d.h"
#include "runtime/ops/conv2d_norm_act.h"
#include "runtime/ops/cross_entropy.h"
#include "runtime/ops/dropout.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/gemm.h"
#include "runtime/ops/image.h"
#include "runtime/ops/layer_norm.h"
#include "runtime/ops/pool2d.h"
#include "runtime/ops/reduce.h"
#include "runtime/ops/softmax.h"
#include "runtime/ops/subsample.h"
#include "runtime/ops/upsample.h"
#include "runtime/ops/view.h"
