// SPDX-License-Identifier: MIT
#pragma once
// Every layer. Names, arguments, defaults and parameter names are PyTorch's; images are NHWC.

#include "nn/layers/activation.h"
#include "nn/layers/conv2d.h"
#include "nn/layers/conv_norm.h"
#include "nn/layers/dropout.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "nn/layers/pool2d.h"
#include "nn/layers/sequential.h"
#include "nn/layers/squeeze_excite.h"
#include "nn/layers/upsample.h"
