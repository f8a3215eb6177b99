// SPDX-License-Identifier: MIT
#include "dist/parameter_gather.h"

#include <algorithm>
#include <utility>

#include "runtime/profiler.h"

namespace convoy::dist {
namespace {

Storage& storage_of(const Tensor& tensor) { return *tensor.impl()->storage; }

// Of a dense tensor, in bytes of its storage.
Range bytes_of(const Tensor& dense) {
  const auto size = static_cast<std::int64_t>(size_of(dense.dtype()));
  const std::int64_t begin = dense.impl()->offset * size;
  return {begin, begin + dense.count() * size};
}

}  // namespace

ParameterGather::ParameterGather(const nn::ParameterStore& store,
                                 const std::vector<Bucket>& buckets, Communicator& communicator,
                                 Wait wait)
    : wait_(wait ? std::move(wait) : [](Work& bucket) { bucket.wait(); }) {
  for (const nn::ParameterGroup& group : store.groups()) {
    require(storage_of(group.values).arrival == nullptr,
            "parameter gather: expects the one before to have been awaited, found it under way");
  }
  for (auto bucket = buckets.rbegin(); bucket != buckets.rend(); ++bucket) {
    const Tensor& flat = store.groups()[bucket->group].values;
    const Tensor all = view(flat, bucket->range);
    const Tensor own = view(flat, bucket->part(communicator.rank()));
    parts_.push_back({all, communicator.all_gather(own, all, bucket->parts)});
  }
  for (const nn::ParameterGroup& group : store.groups()) group.values.bump_version();
  // Not before all have started: a communicator asks for the memory too.
  for (const Part& part : parts_) storage_of(part.values).arrival = this;
}

ParameterGather::~ParameterGather() {
  for (const Part& part : parts_) storage_of(part.values).arrival = nullptr;
}

void ParameterGather::await(const Storage& storage, std::int64_t begin, std::int64_t end) {
  for (std::size_t i = 0; i < parts_.size();) {
    const Range bytes = bytes_of(parts_[i].values);
    const bool due =
        &storage_of(parts_[i].values) == &storage && bytes.begin < end && begin < bytes.end;
    due ? await_part(i) : void(++i);
  }
}

void ParameterGather::await_all() {
  while (!parts_.empty()) await_part(0);
}

// An error leaves it under way, for who asks next to be told the same.
void ParameterGather::await_part(std::size_t at) {
  {
    const ProfileSpan span("await_parameters", parts_[at].values.device());
    wait_(parts_[at].work);
  }
  const Part come = std::move(parts_[at]);
  parts_.erase(parts_.begin() + static_cast<std::ptrdiff_t>(at));
  const auto is_beside = [&](const Part& part) {
    return part.values.impl()->storage == come.values.impl()->storage;
  };
  if (std::none_of(parts_.begin(), parts_.end(), is_beside)) {
    storage_of(come.values).arrival = nullptr;
  }
}

}  // namespace convoy::dist
