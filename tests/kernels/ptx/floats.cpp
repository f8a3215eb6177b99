// SPDX-License-Identifier: MIT
// Arithmetic of f32 and f64. What is approximate on a GPU is as exact here as the host's library.
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/values.h"

namespace convoy::ptx {
namespace {

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return a - b;
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    return a * b;
  }
};
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    return a / b;
  }
};
// A number is taken before a NaN, and -0 is less than +0.
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    if (std::isnan(a)) return std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : b;
    if (a == b) return std::signbit(a) ? a : b;
    return b < a ? b : a;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    if (std::isnan(a)) return std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : b;
    if (a == b) return std::signbit(a) ? b : a;
    return b > a ? b : a;
  }
};
// The second's number with the first's sign.
struct CopySign {
  template <class T>
  T operator()(T a, T b) const {
    return std::copysign(b, a);
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    return -a;
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    return std::fabs(a);
  }
};
struct Sqrt {
  template <class T>
  T operator()(T a) const {
    return std::sqrt(a);
  }
};
struct Rcp {
  template <class T>
  T operator()(T a) const {
    return 1 / a;
  }
};
struct RcpWithoutDenormals {
  float operator()(float a) const { return without_denormals(1 / without_denormals(a)); }
  // Of a double the upper half of the bits.
  double operator()(double a) const {
    const double r = 1 / (std::fpclassify(a) == FP_SUBNORMAL ? std::copysign(0.0, a) : a);
    return std::bit_cast<double>(std::bit_cast<Word>(r) & 0xffffffff00000000);
  }
};
struct Rsqrt {
  float operator()(float a) const { return 1 / std::sqrt(a); }
};
struct Exp2 {
  float operator()(float a) const { return std::exp2(a); }
};
struct Exp2WithoutDenormals {
  float operator()(float a) const { return without_denormals(std::exp2(without_denormals(a))); }
};
struct Log2 {
  float operator()(float a) const { return std::log2(a); }
};
struct Fma {
  template <class T>
  T operator()(T a, T b, T c) const {
    return std::fma(a, b, c);
  }
};
// Towards minus infinity, where long double holds the sum.
struct FmaDown {
  float operator()(float a, float b, float c) const {
    const long double exact = static_cast<long double>(a) * b + c;
    const float near = static_cast<float>(exact);
    return near > exact ? std::nextafter(near, -INFINITY) : near;
  }
};

template <class F>
Run unary_float(std::string_view type) {
  return for_float(type, kUnary<F>);
}
template <class F>
Run binary_float(std::string_view type) {
  return for_float(type, kBinary<F>);
}

// The opcode, without its type.
const std::map<std::string, Run (*)(std::string_view type)>& runs() {
  static const std::map<std::string, Run (*)(std::string_view)> all = {
      {"add", binary_float<Add>},
      {"add.rn", binary_float<Add>},
      {"sub", binary_float<Sub>},
      {"sub.rn", binary_float<Sub>},
      {"mul", binary_float<Mul>},
      {"mul.rn", binary_float<Mul>},
      {"div.rn", binary_float<Div>},
      {"min", binary_float<Min>},
      {"max", binary_float<Max>},
      {"copysign", binary_float<CopySign>},
      {"neg", unary_float<Neg>},
      {"abs", unary_float<Abs>},
      {"sqrt.rn", unary_float<Sqrt>},
      {"rcp.rn", unary_float<Rcp>},
      {"rcp.approx.ftz", unary_float<RcpWithoutDenormals>},
  };
  return all;
}
const std::map<std::string, Run>& runs_of_f32() {
  static const std::map<std::string, Run> all = {
      {"rsqrt.approx", unary<Rsqrt, float, float>},
      {"ex2.approx", unary<Exp2, float, float>},
      {"ex2.approx.ftz", unary<Exp2WithoutDenormals, float, float>},
      {"lg2.approx", unary<Log2, float, float>},
      {"fma.rn", ternary<Fma, float, float, float>},
      {"fma.rm", ternary<FmaDown, float, float, float>},
  };
  return all;
}

}  // namespace

Run decode_float(const std::vector<std::string_view>& opcode, Instruction&) {
  const std::string_view type = opcode.back();
  if (type != "f32" && type != "f64") return nullptr;
  std::string name(opcode[0]);
  for (std::size_t k = 1; k + 1 < opcode.size(); ++k) name.append(1, '.').append(opcode[k]);
  if (name == "fma.rn" && type == "f64") return ternary<Fma, double, double, double>;
  if (const auto run = runs().find(name); run != runs().end()) return run->second(type);
  const auto run = runs_of_f32().find(name);
  return run != runs_of_f32().end() && type == "f32" ? run->second : nullptr;
}

}  // namespace convoy::ptx
