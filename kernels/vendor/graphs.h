// SPDX-License-Identifier: MIT
#pragma once
// The ops as graphs of cuDNN's, and which tensor has which id in them. `suits` says whether there
// is such a graph; whether the library has an engine for it is another question.

#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/vendor/operation_graph.h"

namespace convoy::vendor {

bool suits(const Conv2dForward& op);
bool suits(const Conv2dBackwardInput& op);
bool suits(const Conv2dBackwardWeight& op);
bool suits(const BatchNormForward& op);
bool suits(const BatchNormBackward& op);

OperationGraph graph_of(const Cudnn& library, const Conv2dForward& op);
OperationGraph graph_of(const Cudnn& library, const Conv2dBackwardInput& op);
OperationGraph graph_of(const Cudnn& library, const Conv2dBackwardWeight& op);
OperationGraph graph_of(const Cudnn& library, const BatchNormForward& op);
OperationGraph graph_of(const Cudnn& library, const BatchNormBackward& op);

std::vector<Operand> operands_of(const Conv2dForward& op);
std::vector<Operand> operands_of(const Conv2dBackwardInput& op);
std::vector<Operand> operands_of(const Conv2dBackwardWeight& op);
std::vector<Operand> operands_of(const BatchNormForward& op);
std::vector<Operand> operands_of(const BatchNormBackward& op);

}  // namespace convoy::vendor
