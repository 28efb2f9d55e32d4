#include "graph/plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>

#include "error.h"
#include "graph/operator.h"

namespace halfbyte {
namespace {

// A file asks for memory by its shapes; nobody's model needs this much.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION  // set by fuzzers, whose runs must be short
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
#else
constexpr std::size_t kMaxBytes = std::size_t{1} << 32;
#endif

void check_memory(std::size_t num_bytes) {
  if (num_bytes > kMaxBytes)
    throw Error(ErrorKind::kInput, "a graph would take " + std::to_string(num_bytes) +
                                       " bytes for its values, at most " + std::to_string(kMaxBytes) +
                                       " run; give less at once");
}

std::size_t bytes_of(const PlannedValue& value) {
  return static_cast<std::size_t>(value.shape.num_elements()) * dtype_bytes(value.dtype);
}

// 64-byte aligned memory for values that a plan keeps.
std::shared_ptr<void> allocate(std::size_t num_bytes) {
  check_memory(num_bytes);
  constexpr std::align_val_t kAlignment{64};
  return {::operator new(num_bytes, kAlignment), [](void* data) { ::operator delete(data, kAlignment); }};
}

}  // namespace

Plan::Plan(const Graph& graph, const std::vector<Tensor>& inputs, const Kernels& kernels, ThreadPool* pool)
    : graph_(graph),
      kernels_(kernels),
      pool_(pool),
      values_(graph.values().size()),
      locations_(values_.size()) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const int value = graph.inputs()[i].value;
    input_shapes_.push_back(inputs[i].shape);
    values_[value].dtype = inputs[i].dtype;
    values_[value].shape = inputs[i].shape;
    locations_[value] = {Place::kInput, static_cast<int>(i), 0};
  }
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const int constant = graph.values()[i].constant;
    if (constant < 0) continue;
    const Tensor& tensor = graph.constants()[constant];
    values_[i] = {tensor.dtype, tensor.shape, tensor.data, nullptr};
    locations_[i].place = Place::kKnown;
  }
  for (const GraphOutput& output : graph.outputs()) output_values_.push_back(output.value);
  count_uses();
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) plan_node(static_cast<int>(i));
  place_outputs_in_arena();
  place_next_states();
  drop_unread_steps();
  arena_bytes_ = plan_memory(buffers_);
  check_memory(arena_bytes_ + next_bytes_);
  forget_unused();
  addresses_.resize(values_.size());
}

bool Plan::fits(const std::vector<Tensor>& inputs) const {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].shape != input_shapes_[i]) return false;
  return true;
}

void Plan::count_uses() {
  last_use_.assign(values_.size(), -1);
  const auto& nodes = graph_.nodes();
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (int input : nodes[i].inputs)
      if (input != Node::kAbsent) last_use_[input] = static_cast<int>(i);
  for (const GraphOutput& output : graph_.outputs()) last_use_[output.value] = static_cast<int>(nodes.size());
}

void Plan::plan_node(int index) {
  const Node& node = graph_.nodes()[index];
  NodePlanner planner(graph_, node, values_, kernels_, pool_ == nullptr ? 1 : pool_->size());
  const RunFunction run = node.op->plan(planner);
  const bool is_known = std::all_of(node.inputs.begin(), node.inputs.end(), [this](int input) {
    return input == Node::kAbsent || values_[input].known != nullptr;
  });
  if (is_known || planner.outputs()[0].value.known != nullptr) return evaluate(node, planner, run);
  for (std::size_t i = 0; i < node.outputs.size(); ++i) values_[node.outputs[i]] = planner.outputs()[i].value;
  place_outputs(index, node, planner);
  if (!run) return;
  Step step{index, run, node.inputs, node.outputs, -1};
  if (planner.scratch_bytes() > 0) step.scratch = new_buffer(planner.scratch_bytes(), index, index);
  step_inputs_.resize(std::max(step_inputs_.size(), node.inputs.size()));
  step_outputs_.resize(std::max(step_outputs_.size(), node.outputs.size()));
  steps_.push_back(std::move(step));
}

void Plan::evaluate(const Node& node, NodePlanner& planner, const RunFunction& run) {
  std::vector<const void*> inputs;
  for (int input : node.inputs) inputs.push_back(input == Node::kAbsent ? nullptr : values_[input].known);
  std::vector<void*> outputs;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const NodePlanner::Output& output = planner.outputs()[i];
    PlannedValue value = output.value;
    if (output.view_of >= 0) {
      const PlannedValue& source = values_[node.inputs[output.view_of]];
      value.known = static_cast<const unsigned char*>(source.known) + output.view_offset_bytes;
      value.owner = source.owner;
    } else if (value.known == nullptr) {
      value.owner = allocate(bytes_of(value));
      value.known = value.owner.get();
    }
    outputs.push_back(const_cast<void*>(value.known));  // only written if it was allocated here
    values_[node.outputs[i]] = value;
    locations_[node.outputs[i]].place = Place::kKnown;
  }
  if (!run) return;
  const std::shared_ptr<void> scratch = allocate(planner.scratch_bytes());
  run({inputs.data(), outputs.data(), scratch.get(), pool_});
}

int Plan::new_buffer(std::size_t num_bytes, int first, int last) {
  buffers_.push_back({num_bytes, first, last});
  return static_cast<int>(buffers_.size()) - 1;
}

void Plan::make_view(int value, int of, std::size_t offset_bytes) {
  locations_[value] = locations_[of];
  locations_[value].offset_bytes += offset_bytes;
  if (locations_[of].place == Place::kKnown) {
    values_[value].known = static_cast<const unsigned char*>(values_[of].known) + offset_bytes;
    values_[value].owner = values_[of].owner;
  }
  if (locations_[of].place == Place::kArena) {
    Lifetime& buffer = buffers_[locations_[of].base];
    buffer.last = std::max(buffer.last, last_use_[value]);
  }
}

void Plan::place_outputs(int index, const Node& node, const NodePlanner& planner) {
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const NodePlanner::Output& output = planner.outputs()[i];
    const int value = node.outputs[i];
    if (output.view_of >= 0) {
      make_view(value, node.inputs[output.view_of], output.view_offset_bytes);
    } else if (!place_over_input(index, node, planner)) {
      const int last = std::max(last_use_[value], index);
      locations_[value] = {Place::kArena, new_buffer(bytes_of(values_[value]), index, last), 0};
    }
  }
}

// Output 0 takes an input's buffer if nothing reads that buffer afterwards, nor this node through
// another value.
bool Plan::place_over_input(int index, const Node& node, const NodePlanner& planner) {
  for (int candidate : planner.in_place()) {
    const int input = node.inputs[candidate];
    const Location& location = locations_[input];
    if (location.place != Place::kArena || buffers_[location.base].last > index) continue;
    if (bytes_of(values_[input]) != bytes_of(values_[node.outputs[0]])) continue;
    const bool is_shared = std::any_of(node.inputs.begin(), node.inputs.end(), [&](int other) {
      return other != Node::kAbsent && other != input && locations_[other].place == Place::kArena &&
             locations_[other].base == location.base;
    });
    if (is_shared) continue;
    make_view(node.outputs[0], input, 0);
    return true;
  }
  return false;
}

// A copy of a value, made after all nodes.
int Plan::copied(int value) {
  const int end = static_cast<int>(graph_.nodes().size()), copy = static_cast<int>(values_.size());
  const std::size_t num_bytes = bytes_of(values_[value]);
  const PlannedValue source = values_[value];
  values_.push_back({source.dtype, source.shape, nullptr, nullptr});
  locations_.push_back({Place::kArena, new_buffer(num_bytes, end, end), 0});
  Step step{end,
            [num_bytes](const Operands& operands) {
              if (num_bytes != 0)  // a state without elements has no memory to point to
                std::memcpy(operands.out<void>(0), operands.in<void>(0), num_bytes);
            },
            {value},
            {copy},
            -1};
  step_inputs_.resize(std::max(step_inputs_.size(), std::size_t{1}));
  step_outputs_.resize(std::max(step_outputs_.size(), std::size_t{1}));
  steps_.push_back(std::move(step));
  return copy;
}

// An output that is a view of an input, or known, gets a copy: it must outlive the caller's input.
void Plan::place_outputs_in_arena() {
  for (int& output : output_values_)
    if (locations_[output].place != Place::kArena) output = copied(output);
}

// Next states leave the arena, each with its buffer, or as a copy where it is a part of one.
void Plan::place_next_states() {
  next_offsets_.assign(buffers_.size(), kInArena);
  for (const GraphState& state : graph_.states()) {
    int& output = output_values_[state.output];
    const Location& location = locations_[output];
    const bool is_whole = location.offset_bytes == 0 &&
                          buffers_[location.base].num_bytes == bytes_of(values_[output]) &&
                          next_offsets_[location.base] == kInArena;
    if (!is_whole) output = copied(output);
    next_offsets_.resize(buffers_.size(), kInArena);
    Lifetime& buffer = buffers_[locations_[output].base];
    next_offsets_[locations_[output].base] = static_cast<std::ptrdiff_t>(next_bytes_);
    next_bytes_ += (buffer.num_bytes + 63) / 64 * 64;
    buffer.num_bytes = 0;
  }
}

// Steps of which nothing but a shape was asked.
void Plan::drop_unread_steps() {
  std::vector<bool> is_read(buffers_.size());
  const auto mark = [&](int value) {
    if (locations_[value].place == Place::kArena) is_read[locations_[value].base] = true;
  };
  for (int output : output_values_) mark(output);
  std::vector<Step> kept;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    const bool is_needed = std::any_of(step->outputs.begin(), step->outputs.end(),
                                       [&](int value) { return is_read[locations_[value].base]; });
    if (!is_needed) continue;
    for (int value : step->outputs) mark(value);  // written as well, asked for or not
    for (int input : step->inputs)
      if (input != Node::kAbsent) mark(input);
    if (step->scratch >= 0) is_read[step->scratch] = true;
    kept.push_back(std::move(*step));
  }
  steps_.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    if (!is_read[i]) buffers_[i].num_bytes = 0;
}

// Lets go of what was computed on the way to known values and no step reads.
void Plan::forget_unused() {
  std::vector<bool> is_read(values_.size());
  for (const Step& step : steps_)
    for (int input : step.inputs)
      if (input != Node::kAbsent) is_read[input] = true;
  for (std::size_t i = 0; i < values_.size(); ++i)
    if (!is_read[i]) values_[i].owner.reset();
}

unsigned char* Plan::buffer(int index, unsigned char* arena, unsigned char* next) const {
  if (next_offsets_[index] != kInArena) return next + next_offsets_[index];
  return arena + buffers_[index].offset_bytes;
}

void* Plan::address(int value, const std::vector<Tensor>& inputs, unsigned char* arena,
                    unsigned char* next) const {
  const Location& location = locations_[value];
  switch (location.place) {
    case Place::kKnown:
      return const_cast<void*>(values_[value].known);
    case Place::kInput:
      return static_cast<unsigned char*>(const_cast<void*>(inputs[location.base].data)) +
             location.offset_bytes;
    case Place::kArena:
      return buffer(location.base, arena, next) + location.offset_bytes;
    case Place::kNowhere:
      break;
  }
  return nullptr;
}

void Plan::run_step(const Step& step, unsigned char* arena) {
  for (std::size_t i = 0; i < step.inputs.size(); ++i)
    step_inputs_[i] = step.inputs[i] == Node::kAbsent ? nullptr : addresses_[step.inputs[i]];
  for (std::size_t i = 0; i < step.outputs.size(); ++i) step_outputs_[i] = addresses_[step.outputs[i]];
  void* scratch = step.scratch < 0 ? nullptr : arena + buffers_[step.scratch].offset_bytes;
  step.run({step_inputs_.data(), step_outputs_.data(), scratch, pool_});
}

void Plan::run(const std::vector<Tensor>& inputs, unsigned char* arena, unsigned char* next,
               std::int64_t* node_ns) {
  for (std::size_t i = 0; i < values_.size(); ++i)
    addresses_[i] = address(static_cast<int>(i), inputs, arena, next);
  if (node_ns == nullptr) {
    for (const Step& step : steps_) run_step(step, arena);
    return;
  }
  auto before = std::chrono::steady_clock::now();
  for (const Step& step : steps_) {
    run_step(step, arena);
    const auto now = std::chrono::steady_clock::now();
    node_ns[step.node] += std::chrono::nanoseconds(now - before).count();
    before = now;
  }
}

Tensor Plan::output(std::size_t index) const {
  const int value = output_values_[index];
  return {values_[value].dtype, values_[value].shape, addresses_[value], nullptr};
}

}  // namespace halfbyte
