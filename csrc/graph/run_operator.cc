#include "graph/run_operator.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

#include "graph/operator.h"
#include "graph/thread_pool.h"
#include "kernels/float_environment.h"

namespace halfbyte {
namespace {

constexpr unsigned char kCanary = 0xA5;
constexpr std::size_t kMarginBytes = 512, kAlignmentBytes = 64;

// Memory between two canaries, from `offset_bytes` after a multiple of 64 on.
class Guarded {
 public:
  Guarded(std::size_t num_bytes, std::size_t offset_bytes)
      : num_bytes_(num_bytes),
        begin_(kMarginBytes + offset_bytes),
        memory_(static_cast<unsigned char*>(::operator new(begin_ + num_bytes + kMarginBytes, kAlignment)),
                [](unsigned char* data) { ::operator delete(data, kAlignment); }) {
    std::memset(memory_.get(), kCanary, begin_ + num_bytes + kMarginBytes);
  }

  unsigned char* data() const { return memory_.get() + begin_; }
  bool is_intact() const {
    const auto is_canary = [](unsigned char byte) { return byte == kCanary; };
    return std::all_of(memory_.get(), data(), is_canary) &&
           std::all_of(data() + num_bytes_, data() + num_bytes_ + kMarginBytes, is_canary);
  }
  Tensor tensor(const PlannedValue& value) const { return {value.dtype, value.shape, data(), memory_}; }

 private:
  static constexpr std::align_val_t kAlignment{kAlignmentBytes};
  std::size_t num_bytes_, begin_;
  std::shared_ptr<unsigned char> memory_;
};

std::vector<PlannedValue> values_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<PlannedValue> values(graph.values().size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const int value = graph.nodes()[0].inputs[i];
    if (value != Node::kAbsent) values[value] = {inputs[i].dtype, inputs[i].shape, inputs[i].data, nullptr};
  }
  return values;
}

// What an output is before the operator runs: what it is known to be, or an input's data, or nothing.
const void* first_data(const NodePlanner::Output& output, const std::vector<Tensor>& inputs) {
  if (output.view_of < 0) return output.value.known;
  return inputs[output.view_of].as<unsigned char>() + output.view_offset_bytes;
}

}  // namespace

std::vector<Tensor> run_operator(const OperatorCall& call, const Kernels& kernels, int num_threads) {
  std::vector<DType> types;
  for (const Tensor& input : call.inputs) types.push_back(input.dtype);
  const Graph graph = Graph::of_node(call.name, types, call.attributes, call.num_outputs);
  const std::vector<PlannedValue> values = values_of(graph, call.inputs);
  const FloatEnvironment environment;
  NodePlanner planner(graph, graph.nodes()[0], values, kernels, num_threads);
  const RunFunction run = graph.nodes()[0].op->plan(planner);

  std::vector<const void*> in;
  for (const Tensor& input : call.inputs) in.push_back(input.data);
  std::vector<Guarded> memory;
  std::vector<Tensor> outputs;
  std::vector<void*> out;
  for (const NodePlanner::Output& output : planner.outputs()) {
    const std::size_t item_bytes = dtype_bytes(output.value.dtype);
    const std::size_t num_bytes = static_cast<std::size_t>(output.value.shape.num_elements()) * item_bytes;
    memory.emplace_back(num_bytes, item_bytes);
    const void* data = first_data(output, call.inputs);
    if (data != nullptr && num_bytes > 0) std::memcpy(memory.back().data(), data, num_bytes);
    outputs.push_back(memory.back().tensor(output.value));
    out.push_back(memory.back().data());
  }
  if (call.is_in_place) {
    if (planner.in_place().empty()) planner.fail("it does not work in place");
    const int input = planner.in_place()[0];
    std::memcpy(out[0], in[input], outputs[0].num_bytes());
    in[input] = out[0];
  }
  memory.emplace_back(planner.scratch_bytes(), 0);
  std::unique_ptr<ThreadPool> pool(num_threads == 1 ? nullptr : new ThreadPool(num_threads));
  if (run) run({in.data(), out.data(), memory.back().data(), pool.get()});
  if (!std::all_of(memory.begin(), memory.end(), [](const Guarded& part) { return part.is_intact(); }))
    throw std::logic_error("operator " + call.name + " wrote beside its outputs or its scratch memory");
  return outputs;
}

}  // namespace halfbyte
