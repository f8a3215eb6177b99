// SPDX-License-Identifier: MIT
#include "kernels/cpu/math.h"

namespace convoy::on_cpu {

double exp_of(double x) { return std::exp(x); }
double log_of(double x) { return std::log(x); }
double tanh_of(double x) { return std::tanh(x); }
double erf_of(double x) { return std::erf(x); }
float pow_of(float x, float exponent) { return std::pow(x, exponent); }
double pow_of(double x, double exponent) { return std::pow(x, exponent); }

}  // namespace convoy::on_cpu
