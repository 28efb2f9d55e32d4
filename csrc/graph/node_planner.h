// What an operator sees while a plan is made: its inputs' types, shapes and, where they depend on
// nothing but constants and shapes, values. It states its outputs' shapes and returns how to run.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/codec.h"
#include "graph/graph.h"
#include "graph/tensor.h"
#include "graph/thread_pool.h"
#include "kernels/kernels.h"

namespace halfbyte {

// Pointers of one run of one node. An input left out is nullptr.
struct Operands {
  const void* const* inputs;
  void* const* outputs;
  void* scratch;               // 64-byte aligned
  ThreadPool* pool = nullptr;  // nullptr: this thread alone

  template <class T>
  const T* in(int index) const {
    return static_cast<const T*>(inputs[index]);
  }
  template <class T>
  T* out(int index) const {
    return static_cast<T*>(outputs[index]);
  }
};

// Runs a node; must not allocate. Empty if the outputs are views of inputs or were known at once.
using RunFunction = std::function<void(const Operands&)>;

// What is known of a value while a plan is made.
struct PlannedValue {
  DType dtype = DType::kNone;
  Shape shape;
  const void* known = nullptr;  // data, where the value depends only on constants and shapes
  std::shared_ptr<const void> owner;
};

class NodePlanner {
 public:
  struct Output {
    PlannedValue value;
    int view_of = -1;  // an input whose data it is a view of
    std::size_t view_offset_bytes = 0;
  };

  NodePlanner(const Graph& graph, const Node& node, const std::vector<PlannedValue>& values,
              const Kernels& kernels, int num_threads);

  const Kernels& kernels() const { return kernels_; }
  int num_threads() const { return num_threads_; }
  int num_inputs() const { return static_cast<int>(node_.inputs.size()); }
  int num_outputs() const { return static_cast<int>(node_.outputs.size()); }
  bool has(int input) const;
  const Shape& shape(int input) const { return value(input).shape; }
  DType dtype(int input) const { return value(input).dtype; }
  // How an input that must be codes is stored.
  const Codec& codec(int input) const { return *find_codec(dtype(input)); }
  // Type of the outputs, from the operator's signature.
  DType output_dtype() const;

  // The elements of an int64 input that must be known when the plan is made. Throws if it is not.
  std::vector<std::int64_t> known_numbers(int input) const;
  std::int64_t known_number(int input) const;  // of an input that has only one
  const PlannedValue& value(int input) const;

  // Attributes; the first throws if there is none of that name.
  std::int64_t attribute(const char* name) const;
  std::int64_t attribute(const char* name, std::int64_t otherwise) const;
  float real_attribute(const char* name, float otherwise) const;
  const std::vector<std::int64_t>* numbers_attribute(const char* name) const;
  std::string text_attribute(const char* name, const char* otherwise) const;
  // `axis` of a tensor of that rank, counted from 0. Throws if out of range.
  int axis(std::int64_t axis, int rank) const;

  void set_output(int output, const Shape& shape);
  // The output is a view of the input's data, from `offset_bytes` on.
  void set_view(int output, int input, const Shape& shape, std::size_t offset_bytes = 0);
  // The output is known now.
  void set_known(int output, const std::vector<std::int64_t>& numbers, const Shape& shape);
  // Output 0 may be written over that input, which has its size: element i needs only element i, or a
  // row only that row.
  void allow_in_place(int input) { in_place_.push_back(input); }
  void need_scratch(std::size_t num_bytes) { scratch_bytes_ = num_bytes; }

  [[noreturn]] void fail(const std::string& problem) const;

  const std::vector<Output>& outputs() const { return outputs_; }
  const std::vector<int>& in_place() const { return in_place_; }
  std::size_t scratch_bytes() const { return scratch_bytes_; }

 private:
  const Attribute* find(const char* name, Attribute::Type type) const;

  const Graph& graph_;
  const Node& node_;
  const std::vector<PlannedValue>& values_;
  const Kernels& kernels_;
  int num_threads_;
  std::vector<Output> outputs_;
  std::vector<int> in_place_;
  std::size_t scratch_bytes_ = 0;
};

using OpPlanner = RunFunction (*)(NodePlanner&);

// Shape of the operands after broadcasting as numpy does. Throws kInput through `node`.
Shape broadcast_shape(const NodePlanner& node, const Shape& a, const Shape& b);

}  // namespace halfbyte
