// SPDX-License-Identifier: MIT
#include "runtime/autograd.h"

#include <atomic>
#include <queue>

#include "kernels/copy.h"
#include "runtime/run.h"

namespace convoy {
namespace {

thread_local bool recording = true;
thread_local const OnGradient::Function* on_gradient = nullptr;
std::atomic<void (*)(const char*)> record_observer{nullptr};

std::uint64_t next_sequence() {
  static std::atomic<std::uint64_t> next{0};
  return next.fetch_add(1, std::memory_order_relaxed);
}

// to += from, or to = from. `from` may have any strides and another dtype, `to` is dense.
void write(const Tensor& to, const Tensor& from, bool accumulate) {
  if (to.dtype() != from.dtype()) {
    const Tensor dense = from.contiguous();
    const Tensor alike = accumulate ? empty(to.shape(), to.like()) : to;
    run(Cast{dense.count(), dense.data(), dense.dtype(), alike.data(), to.dtype()}, to.stream());
    if (accumulate) write(to, alike, true);
    return;
  }
  run(Copy{.shape = to.shape(),
           .x_strides = from.strides(),
           .y_strides = to.strides(),
           .x = from.data(),
           .y = to.data(),
           .dtype = to.dtype(),
           .accumulate = accumulate},
      to.stream());
}

void require_like(const Edge& edge, const Tensor& gradient, const char* name) {
  require(gradient.shape() == edge.shape && gradient.dtype() == edge.dtype,
          "{}: the gradient expects {} of shape {}, found {} of shape {}", name, edge.dtype,
          edge.shape, gradient.dtype(), gradient.shape());
}

Tensor leaf_destination(TensorImpl& leaf, const Device& device) {
  if (!leaf.grad) leaf.grad = empty(leaf.shape, {leaf.dtype, device}).impl();
  return Tensor(leaf.grad);
}

}  // namespace

Saved::Saved(const Tensor& tensor)
    : storage_(tensor.impl()->storage),
      offset_(tensor.impl()->offset),
      shape_(tensor.shape()),
      strides_(tensor.strides()),
      dtype_(tensor.dtype()),
      version_(storage_->version) {}

void Saved::check_version() const {
  require(storage_->version == version_,
          "autograd: a tensor of shape {} that the backward pass needs was changed in place after "
          "it was saved (version {} then, {} now); call backward() before changing it",
          shape_, version_, storage_->version);
}

void* Saved::data() const {
  if (storage_->arrival != nullptr) return tensor().data();
  check_version();
  return static_cast<char*>(storage_->block.data) +
         offset_ * static_cast<std::int64_t>(size_of(dtype_));
}

Tensor Saved::tensor() const {
  check_version();
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = storage_;
  impl->shape = shape_;
  impl->strides = strides_;
  impl->dtype = dtype_;
  return make_view(Tensor(std::move(impl)), offset_, shape_, strides_);
}

NoGrad::NoGrad() : before_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = before_; }
bool grad_enabled() { return recording; }

OnGradient::OnGradient(Function function)
    : function_(std::move(function)), before_(std::exchange(on_gradient, &function_)) {}
OnGradient::~OnGradient() { on_gradient = before_; }

void set_record_observer(void (*observer)(const char*)) { record_observer = observer; }

Node::Node(const char* op, const Tensor& output)
    : name(op), sequence(next_sequence()), shape(output.shape()), device(output.device()) {}

// Frees a tape node by node: left to the members, a deep one would recurse until the stack is out.
Node::~Node() {
  std::vector<std::shared_ptr<Node>> orphans;
  const auto adopt = [&orphans](std::vector<Edge>& edges) {
    for (Edge& edge : edges) {
      if (edge.leaf) --edge.leaf->uses;
      if (!edge.producer) continue;
      --edge.producer->users;
      orphans.push_back(std::move(edge.producer));
    }
    edges.clear();
  };
  adopt(inputs);
  while (!orphans.empty()) {
    const std::shared_ptr<Node> node = std::move(orphans.back());
    orphans.pop_back();
    if (node.use_count() == 1) adopt(node->inputs);
  }
}

void Node::drop_inputs() {
  std::vector<std::shared_ptr<TensorImpl>> complete;
  for (Edge& edge : inputs) {
    if (edge.producer) --edge.producer->users;
    if (!edge.leaf || --edge.leaf->uses > 0) continue;
    if (on_gradient != nullptr && edge.leaf->grad_written) complete.push_back(edge.leaf);
  }
  inputs.clear();
  for (const auto& leaf : complete) (*on_gradient)(*leaf);
}

bool must_record(std::span<const Input> inputs) {
  if (!recording) return false;
  for (const Input& input : inputs) {
    if (input.tensor->requires_grad()) return true;
  }
  return false;
}

void attach(std::shared_ptr<Node> node, const Tensor& output, std::span<const Input> inputs) {
  require(output.impl()->producer == nullptr && !output.impl()->requires_grad,
          "{}: records its result once, on a tensor of its own", node->name);
  if (auto* observer = record_observer.load(std::memory_order_relaxed)) observer(node->name);
  node->inputs.reserve(inputs.size());
  for (const Input& input : inputs) {
    Edge& edge = node->inputs.emplace_back();
    if (!input.tensor->requires_grad()) continue;
    const auto& impl = input.tensor->impl();
    edge.shape = impl->shape;
    edge.dtype = impl->dtype;
    edge.producer = impl->producer;
    if (edge.producer) {
      ++edge.producer->users;
    } else {
      edge.leaf = impl;
      ++impl->uses;
    }
  }
  output.impl()->producer = std::move(node);
}

bool Grads::needs(int i) const { return node_.inputs[static_cast<std::size_t>(i)].wanted(); }

std::optional<DType> Grads::kept_in(std::initializer_list<int> inputs) const {
  std::optional<DType> result;
  for (const int i : inputs) {
    const Edge& edge = node_.inputs[static_cast<std::size_t>(i)];
    if (!edge.wanted()) continue;
    const DType own = edge.leaf && edge.leaf->grad ? edge.leaf->grad->dtype : edge.dtype;
    result = result.value_or(own) == own ? own : DType::f32;
  }
  return result;
}

bool Grads::last(int i) const {
  const Edge& edge = node_.inputs[static_cast<std::size_t>(i)];
  return edge.producer != nullptr && edge.producer->users == 1;
}

GradDestination Grads::into_adding(int i) {
  Tensor addend;
  GradDestination to = place_of(i, addend);
  to.addend = addend;
  return to;
}

GradDestination Grads::into(int i, std::optional<DType> dtype) {
  // Someone else's memory cannot be added into: it is added to ours once ours is written.
  Tensor addend;
  GradDestination to = place_of(i, addend);
  if (addend.defined()) borrowed_.push_back({to.tensor, addend});
  const DType wanted = dtype.value_or(node_.inputs[static_cast<std::size_t>(i)].dtype);
  if (to.tensor.dtype() == wanted) return to;
  const Tensor apart = empty(to.tensor.shape(), {wanted, node_.device});
  // Another input may be the same parameter, and be added before this is.
  if (!to.accumulate) to.tensor.fill_(0);
  borrowed_.push_back({to.tensor, apart});
  return {apart, false};
}

// The gradient's own memory, and what of the gradient lies elsewhere.
GradDestination Grads::place_of(int i, Tensor& addend) {
  Edge& edge = node_.inputs[static_cast<std::size_t>(i)];
  require(edge.wanted(), "{}: nobody needs the gradient of input {}; ask needs() first", node_.name,
          i);
  if (edge.leaf) {
    const bool add = std::exchange(edge.leaf->grad_written, true);
    edge.first_write = !add;
    return {leaf_destination(*edge.leaf, node_.device), add};
  }
  Node& producer = *edge.producer;
  if (producer.pending.defined() && !producer.pending_borrowed) return {producer.pending, true};
  const Tensor fresh = empty(edge.shape, {edge.dtype, node_.device});
  addend = std::exchange(producer.pending, fresh);
  producer.pending_borrowed = false;
  return {fresh, false};
}

void Grads::pass(int i, const Tensor& gradient) {
  Edge& edge = node_.inputs[static_cast<std::size_t>(i)];
  if (!edge.wanted()) return;
  require_like(edge, gradient, node_.name);
  if (!edge.leaf && !edge.producer->pending.defined()) {
    edge.producer->pending = gradient.detach();
    edge.producer->pending_borrowed = true;
    return;
  }
  Tensor addend;
  const GradDestination to = place_of(i, addend);
  write(to.tensor, gradient, to.accumulate);
  if (addend.defined()) write(to.tensor, addend, true);
}

void Grads::finish() {
  for (const Borrowed& b : borrowed_) write(b.destination, b.addend, true);
  borrowed_.clear();
}

namespace {

struct LaterFirst {
  bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const {
    return a->sequence < b->sequence;
  }
};
using Queue =
    std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, LaterFirst>;

void run_node(Node& node) {
  require(!node.done,
          "backward: the tape through '{}' (output shape {}) has been run and its saved tensors "
          "dropped; run the forward pass again",
          node.name, node.shape);
  const ProfileSpan span(node.name, node.device);
  const Tensor dy = std::exchange(node.pending, Tensor()).contiguous();
  Grads grads(node);
  node.run(dy, grads);
  grads.finish();
  node.done = true;
  node.drop_saves();
}

// Puts the producers of a node's inputs in line, those that have got a gradient.
void enqueue_inputs(Node& node, Queue& queue) {
  for (Edge& edge : node.inputs) {
    Node* next = edge.producer.get();
    if (next == nullptr || !next->pending.defined() || next->queued) continue;
    next->queued = true;
    queue.push(edge.producer);
  }
}

// Gradients that an error left behind must not leak into another backward(): those on their way,
// and what the failed node may not have written of a leaf's first one.
void drop_pending(Node& failed, Queue& queue) {
  for (Edge& edge : failed.inputs) {
    if (edge.first_write) edge.leaf->grad_written = false;
  }
  enqueue_inputs(failed, queue);
  for (; !queue.empty(); queue.pop()) {
    queue.top()->pending = Tensor();
    queue.top()->queued = false;
  }
}

}  // namespace

void Tensor::backward(const Tensor& gradient) const {
  require(requires_grad(), "backward: no input of this tensor (shape {}) requires a gradient",
          shape());
  const NoGrad inference;
  const Edge root{impl_->producer, nullptr, shape(), dtype()};
  require_like(root, gradient, "backward");
  if (!impl_->producer) {
    const bool add = std::exchange(impl_->grad_written, true);
    return write(leaf_destination(*impl_, device()), gradient, add);
  }
  Queue queue;
  impl_->producer->pending = gradient.detach();
  impl_->producer->pending_borrowed = true;
  queue.push(impl_->producer);
  while (!queue.empty()) {
    const std::shared_ptr<Node> node = queue.top();
    queue.pop();
    try {
      run_node(*node);
    } catch (...) {
      drop_pending(*node, queue);
      throw;
    }
    enqueue_inputs(*node, queue);
    node->drop_inputs();
  }
}

}  // namespace convoy
