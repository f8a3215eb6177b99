// SPDX-License-Identifier: MIT
#include "tests/support/survivors.h"

#include "tests/support/temporary_folder.h"

namespace convoy::testing {

namespace fs = std::filesystem;

Disk::Disk(fs::path root) : root_(std::move(root)) { load(root_); }

int Disk::load(const fs::path& path) {
  const int node = static_cast<int>(nodes_.size());
  nodes_.push_back({.is_folder = fs::is_directory(path)});
  if (!fs::is_directory(path)) {
    nodes_.back().content = file_text(path);
    return node;
  }
  Names names;
  for (const auto& entry : fs::directory_iterator(path)) {
    names[entry.path().filename().string()] = load(entry.path());
  }
  nodes_[static_cast<std::size_t>(node)].names = {names};
  return node;
}

int Disk::find(const fs::path& path) const {
  int node = 0;
  for (const fs::path& name : path.lexically_relative(root_)) {
    if (name != ".") node = nodes_[static_cast<std::size_t>(node)].names.back().at(name.string());
  }
  return node;
}

void Disk::change(const fs::path& path, int node) {
  Node& folder = nodes_[static_cast<std::size_t>(find(path.parent_path()))];
  Names names = folder.names.back();
  names.erase(path.filename().string());
  if (node >= 0) names[path.filename().string()] = node;
  folder.names.push_back(names);
}

// Within a folder, one change.
void Disk::rename(const FileCall& call) {
  Node& folder = nodes_.at(static_cast<std::size_t>(find(call.path.parent_path())));
  Names names = folder.names.back();
  const std::string from = call.path.filename().string(), to = call.to.filename().string();
  if (call.operation == FileOperation::exchange) {
    std::swap(names.at(from), names.at(to));
  } else {
    names[to] = names.at(from);
    names.erase(from);
  }
  folder.names.push_back(names);
}

void Disk::sync(Node& node) {
  node.names = {node.names.back()};
  for (const Written& w : node.writes) {
    node.content.resize(std::max(node.content.size(), w.offset + w.bytes.size()));
    node.content.replace(w.offset, w.bytes.size(), w.bytes);
  }
  node.writes.clear();
}

void Disk::apply(const FileCall& call) {
  switch (call.operation) {
    case FileOperation::create:
    case FileOperation::make_folder:
      nodes_.push_back({.is_folder = call.operation == FileOperation::make_folder});
      return change(call.path, static_cast<int>(nodes_.size()) - 1);
    case FileOperation::write:
      return nodes_[static_cast<std::size_t>(find(call.path))].writes.push_back(
          {call.offset, call.bytes});
    case FileOperation::sync:
      return sync(nodes_[static_cast<std::size_t>(find(call.path))]);
    case FileOperation::rename:
    case FileOperation::exchange:
      return rename(call);
    case FileOperation::remove:
      return change(call.path, -1);
    case FileOperation::close:
      return;
  }
}

std::string Disk::survivor(std::mt19937& random, const Node& file) {
  constexpr std::size_t kBlock = 4096;
  std::string content = file.content;
  for (const Written& w : file.writes) {
    for (std::size_t at = 0; at < w.bytes.size();) {
      const std::size_t size = std::min(kBlock - (w.offset + at) % kBlock, w.bytes.size() - at);
      if (random() % 2 == 0) {
        content.resize(std::max<std::size_t>(content.size(), w.offset + at + size));
        content.replace(w.offset + at, size, w.bytes, at, size);
      }
      at += size;
    }
  }
  return content;
}

void Disk::write_survivors(std::mt19937& random, int node, const fs::path& to) const {
  const Node& here = nodes_[static_cast<std::size_t>(node)];
  if (!here.is_folder) return write_text(to, survivor(random, here));
  fs::create_directory(to);
  for (const auto& [name, inside] : here.names[random() % here.names.size()]) {
    write_survivors(random, inside, to / name);
  }
}

void Disk::write_survivors(std::mt19937& random, const fs::path& to) const {
  write_survivors(random, 0, to);
}

}  // namespace convoy::testing
