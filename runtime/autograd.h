// SPDX-License-Identifier: MIT
#pragma once
// The tape. An op computes its result and records how the gradient flows back, on one screen:
//
//   Tensor square(const Tensor& x) {
//     Tensor y = ...;
//     return record("square", y, {x}, [x = save(x)](const Tensor& dy, Grads& grads) {
//       auto dx = grads.into(0);                       // destination and accumulate flag
//       run(SquareBackward{..., dx.data(), dx.accumulate}, dy.stream());
//     });
//   }
//
// A backward function may capture numbers, shapes and Saved values. A captured Tensor would keep
// the graph alive in a circle, so it does not compile. A node drops what it saved once it has run.

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/profiler.h"
#include "runtime/tensor.h"

namespace convoy {

// A tensor's memory and version without its place on the tape. Using it after the memory has been
// written in place is an Error.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& tensor);

  bool defined() const { return storage_ != nullptr; }
  void* data() const;  // checks the version
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  std::int64_t count() const { return shape_.count(); }
  DType dtype() const { return dtype_; }
  Tensor tensor() const;  // checks the version; no history

 private:
  void check_version() const;

  std::shared_ptr<Storage> storage_;
  std::int64_t offset_ = 0;
  Shape shape_;
  Strides strides_;
  DType dtype_ = DType::f32;
  std::uint32_t version_ = 0;
};

// Undefined tensors (an absent bias) save as undefined values.
inline Saved save(const Tensor& tensor) { return tensor.defined() ? Saved(tensor) : Saved(); }

// While one is alive on this thread, ops record nothing and keep nothing: inference mode.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
bool grad_enabled();

// While one is alive on this thread, backward() calls it with every leaf whose gradient is
// complete: written, and used by no other node on the tape. So it may be sent on while backward()
// goes on.
class OnGradient {
 public:
  using Function = std::function<void(const TensorImpl& leaf)>;
  explicit OnGradient(Function function);
  ~OnGradient();
  OnGradient(const OnGradient&) = delete;
  OnGradient& operator=(const OnGradient&) = delete;

 private:
  Function function_;
  const Function* before_;
};

// Where an input's gradient goes: dense memory of the input's shape. With `accumulate` it holds
// another branch's gradient, to be added to; without, its contents are undefined.
struct GradDestination {
  Tensor tensor;
  bool accumulate = false;
  Tensor addend = {};  // from into_adding() alone: to be added to what is written
  void* data() const { return tensor.data(); }
};

// One input of a node: the node that made it or the leaf that it is, and what it looked like.
struct Edge {
  std::shared_ptr<Node> producer;
  std::shared_ptr<TensorImpl> leaf;
  Shape shape;
  DType dtype = DType::f32;
  bool first_write = false;  // this node was the first to write the leaf's gradient
  bool wanted() const { return producer != nullptr || leaf != nullptr; }
};

// The gradients of one node's inputs, as its backward function sees them.
class Grads {
 public:
  explicit Grads(Node& node) : node_(node) {}

  // Whether anyone wants input i's gradient; false for absent inputs.
  bool needs(int i) const;
  // Destination of input i's gradient, of the input's dtype or the one given, to be written before
  // into() is called for another input.
  GradDestination into(int i, std::optional<DType> dtype = {});
  // For ops that add another tensor on the way: where the other branch's gradient lies in someone
  // else's memory, it comes as `addend`, which spares the pass that would add it afterwards.
  GradDestination into_adding(int i);
  // Whether this node is the last on the tape to use what input i is: behind it the gradient is
  // complete. False for parameters.
  bool last(int i) const;
  // For ops that can write more precisely than their operands are: what the inputs' gradients are
  // kept in, which is f32 for the half parameters of nn/parameter_store.h, and where these inputs
  // differ. Written in that, they need no cast. Empty if nobody wants them.
  std::optional<DType> kept_in(std::initializer_list<int> inputs) const;
  // Hands on a tensor (any strides) as input i's gradient, without a copy where that is possible.
  void pass(int i, const Tensor& gradient);

  // Called by the engine after the backward function.
  void finish();

 private:
  GradDestination place_of(int i, Tensor& addend);

  // Added once the backward function has written.
  struct Borrowed {
    Tensor destination, addend;
  };
  Node& node_;
  std::vector<Borrowed> borrowed_;
};

class Node {
 public:
  Node(const char* name, const Tensor& output);
  virtual ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  virtual void run(const Tensor& dy, Grads& grads) = 0;
  virtual void drop_saves() = 0;
  void drop_inputs();  // and tells of leaves that nobody else uses

  const char* name;
  std::uint64_t sequence;  // order of recording; backward runs in the reverse
  Shape shape;             // of the output
  Device device;
  std::vector<Edge> inputs;
  bool queued = false;  // for this backward()
  bool done = false;
  int users = 0;  // edges from nodes that have not run

  // The gradient of the output so far. Borrowed: the memory belongs to someone else too.
  Tensor pending;
  bool pending_borrowed = false;
};

// An op's input: any tensor, also an undefined one.
struct Input {
  Input(const Tensor& t) : tensor(&t) {}  // NOLINT: converts on purpose
  const Tensor* tensor;
};

bool must_record(std::span<const Input> inputs);
void attach(std::shared_ptr<Node> node, const Tensor& output, std::span<const Input> inputs);

template <class F>
class FunctionNode final : public Node {
 public:
  FunctionNode(const char* op, const Tensor& output, F&& backward)
      : Node(op, output), backward_(std::move(backward)) {}
  void run(const Tensor& dy, Grads& grads) override { (*backward_)(dy, grads); }
  void drop_saves() override { backward_.reset(); }

 private:
  std::optional<F> backward_;
};

// Puts y on the tape as the result of `inputs`; `backward(dy, grads)` gets y's gradient, dense, and
// writes the inputs' ones. Returns y. Under NoGrad, or when no input needs a gradient, it does
// nothing else. `name` must outlive the tape: a literal.
template <class F>
Tensor record(const char* name, const Tensor& y, std::span<const Input> inputs, F&& backward) {
  using Function = std::decay_t<F>;
  static_assert(std::is_nothrow_copy_constructible_v<Function>,
                "a backward function captures a Tensor or a container: capture save(tensor), "
                "numbers and Shapes instead");
  if (must_record(inputs)) {
    attach(std::make_shared<FunctionNode<Function>>(name, y, Function(std::forward<F>(backward))),
           y, inputs);
  }
  return y;
}
template <class F>
Tensor record(const char* name, const Tensor& y, std::initializer_list<Input> inputs,
              F&& backward) {
  return record(name, y, std::span<const Input>(inputs.begin(), inputs.size()),
                std::forward<F>(backward));
}

// For tests: called with the name of every op that is put on the tape. Null switches it off.
void set_record_observer(void (*observer)(const char* name));

}  // namespace convoy
