#include "graph/session.h"

#include <algorithm>
#include <cstring>

#include "error.h"
#include "graph/operator.h"
#include "graph/plan.h"
#include "graph/thread_pool.h"
#include "kernels/float_environment.h"
#include "kernels/kernels.h"

namespace halfbyte {
namespace {

constexpr std::size_t kMaxPlans = 8;  // input shapes remembered; a stream needs one or two
constexpr std::size_t kAlignmentBytes = 64;

}  // namespace

// Memory for intermediate values; grows to the largest plan and is then kept.
struct Session::Arena {
  std::vector<unsigned char> bytes;

  unsigned char* aligned() {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    return bytes.data() + (kAlignmentBytes - address % kAlignmentBytes) % kAlignmentBytes;
  }
  void fit(std::size_t num_bytes) {
    if (bytes.size() < num_bytes + kAlignmentBytes) bytes.resize(num_bytes + kAlignmentBytes);
  }
};

Session::Session(const std::shared_ptr<const Model>& model, const std::string& graph_name,
                 const std::string& isa, int num_threads)
    : model_(model),
      graph_(&model->graph(graph_name)),
      kernels_(&find_kernels(isa)),
      pool_(threads_of(num_threads) == 1 ? nullptr : std::make_unique<ThreadPool>(threads_of(num_threads))),
      set_inputs_(graph_->inputs().size()),
      arena_(std::make_unique<Arena>()),
      gathered_(std::make_unique<Arena>()) {}

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::set_input(const std::string& name, const Tensor& tensor) {
  const int index = graph_->find_input(name);
  if (index < 0) {
    std::string names;
    for (const GraphInput& input : graph_->inputs())
      if (input.state < 0) names += (names.empty() ? "" : ", ") + input.name;
    throw Error(ErrorKind::kUsage,
                "graph '" + graph_->name() + "' has no input '" + name + "'; it takes " + names);
  }
  check_input(index, tensor);
  set_inputs_[index] = tensor;
}

void Session::check_input(std::size_t index, const Tensor& tensor) const {
  const GraphInput& input = graph_->inputs()[index];
  bool fits = tensor.dtype == input.dtype && tensor.shape.rank() == input.shape.rank();
  for (int axis = 0; fits && axis < input.shape.rank(); ++axis)
    fits = tensor.shape[axis] >= 0 &&
           (input.shape[axis] == GraphInput::kOpen || input.shape[axis] == tensor.shape[axis]);
  if (!fits)
    throw Error(ErrorKind::kInput, "input '" + input.name + "' of graph '" + graph_->name() + "' is " +
                                       dtype_name(tensor.dtype) + " " + tensor.shape.to_string() +
                                       ", expected " + dtype_name(input.dtype) + " " +
                                       input.shape.to_string() + " (-1: any size); give such a tensor");
}

Plan& Session::plan_for_inputs() {
  const auto found = std::find_if(plans_.begin(), plans_.end(),
                                  [this](const auto& plan) { return plan->fits(run_inputs_); });
  if (found != plans_.end()) {
    std::rotate(plans_.begin(), found, found + 1);
    return *plans_.front();
  }
  auto plan = std::make_unique<Plan>(*graph_, run_inputs_, *kernels_, pool_.get());
  arena_->fit(plan->arena_bytes());
  if (plans_.size() == kMaxPlans) plans_.pop_back();
  plans_.insert(plans_.begin(), std::move(plan));
  return *plans_.front();
}

void Session::execute() {
  for (std::size_t i = 0; i < run_inputs_.size(); ++i)
    if (run_inputs_[i].dtype == DType::kNone)
      throw Error(ErrorKind::kUsage, "input '" + graph_->inputs()[i].name + "' of graph '" + graph_->name() +
                                         "' was not set; call set_input first");
  const FloatEnvironment environment;
  Plan& plan = plan_for_inputs();
  next_.resize(plan.next_bytes() / sizeof(std::uint64_t));
  plan.run(run_inputs_, arena_->aligned(), reinterpret_cast<unsigned char*>(next_.data()),
           node_ns_.empty() ? nullptr : node_ns_.data());
  has_run_ = true;
  is_next_taken_ = false;
}

void Session::run() {
  has_run_ = false;
  run_inputs_ = set_inputs_;  // the same size each time: copies without allocating
  for (const GraphState& state : graph_->states()) {
    Tensor& input = run_inputs_[state.input];
    if (input.dtype != DType::kNone) continue;
    if (initial_state_ == nullptr) initial_state_ = std::make_unique<State>(model_, graph_->name());
    input = initial_state_->tensor(graph_->inputs()[state.input].state);
  }
  execute();
}

void Session::run(State& state) {
  State* only = &state;
  run(&only, 1);
}

void Session::check_streams(State* const* states, std::size_t num_streams) const {
  if (num_streams == 0) throw Error(ErrorKind::kUsage, "the batch is empty; give at least one stream");
  for (std::size_t b = 0; b < num_streams; ++b) {
    if (&states[b]->graph() != graph_)
      throw Error(ErrorKind::kUsage, "the state belongs to graph '" + states[b]->graph().name() +
                                         "' of another model or name; make one for this graph");
    if (std::find(states, states + b, states[b]) != states + b)
      throw Error(ErrorKind::kUsage, "a batch holds a state twice; a stream takes one step at a time");
    if (states[b]->left_context_steps() != states[0]->left_context_steps())
      throw Error(ErrorKind::kInput, "states of " + std::to_string(states[0]->left_context_steps()) +
                                         " and " + std::to_string(states[b]->left_context_steps()) +
                                         " steps of left context are in one batch; run them apart");
  }
  if (num_streams > 1) check_batch(num_streams);
}

void Session::check_batch(std::size_t num_streams) const {
  for (std::size_t i = 0; i < set_inputs_.size(); ++i) {
    const GraphInput& input = graph_->inputs()[i];
    const Shape& shape = set_inputs_[i].shape;
    if (input.state >= 0) {
      const bool has_rows = input.shape.rank() > 0 && input.shape[0] == GraphInput::kOpen &&
                            graph_->states()[input.state].initial_shape[0] == 1;
      if (has_rows) continue;
      throw Error(ErrorKind::kUsage, "graph '" + graph_->name() + "' has no batch axis in '" + input.name +
                                         "'; run its streams one by one");
    }
    if (set_inputs_[i].dtype == DType::kNone) continue;
    if (shape.rank() == 0 || shape[0] != static_cast<std::int64_t>(num_streams))
      throw Error(ErrorKind::kInput, "input '" + graph_->inputs()[i].name + "' is " + shape.to_string() +
                                         ", expected one row for each of " + std::to_string(num_streams) +
                                         " states");
  }
}

// Binds the state inputs: one state where it lies, several copied side by side.
void Session::take_states(State* const* states, std::size_t num_streams) {
  const std::size_t num_tensors = graph_->states().size();
  if (num_streams > 1) gathered_->fit(num_streams * states[0]->num_bytes());
  unsigned char* at = gathered_->aligned();
  for (std::size_t i = 0; i < num_tensors; ++i) {
    Tensor& input = run_inputs_[graph_->states()[i].input];
    input = states[0]->tensor(i);
    if (num_streams == 1) continue;
    const std::size_t num_bytes = input.num_bytes();
    input.data = at;
    input.shape[0] = static_cast<std::int64_t>(num_streams);
    for (std::size_t b = 0; b < num_streams; ++b, at += num_bytes)
      if (num_bytes > 0) std::memcpy(at, states[b]->tensor(i).data, num_bytes);
  }
}

// That each next state has the shape of the state that it becomes.
void Session::check_next(const State& state, std::size_t num_streams) const {
  for (std::size_t i = 0; i < state.num_tensors(); ++i) {
    const Tensor next = output(static_cast<std::size_t>(graph_->states()[i].output));
    Shape expected = state.tensor(i).shape;
    if (num_streams > 1) expected[0] = static_cast<std::int64_t>(num_streams);
    if (next.shape != expected || next.dtype != state.tensor(i).dtype)
      throw Error(ErrorKind::kModelFile, "graph '" + graph_->name() + "' gives state '" + state.name(i) +
                                             "' the shape " + next.shape.to_string() + ", it was " +
                                             expected.to_string() + "; export the model again");
  }
}

void Session::run(State* const* states, std::size_t num_streams) {
  has_run_ = false;
  check_streams(states, num_streams);
  run_inputs_ = set_inputs_;
  take_states(states, num_streams);
  execute();
  check_next(*states[0], num_streams);
  if (num_streams == 1) {
    states[0]->exchange(next_);
    is_next_taken_ = true;
    return;
  }
  for (std::size_t i = 0; i < graph_->states().size(); ++i) {
    const Tensor next = output(static_cast<std::size_t>(graph_->states()[i].output));
    const std::size_t num_bytes = next.num_bytes() / num_streams;
    for (std::size_t b = 0; b < num_streams; ++b)
      if (num_bytes > 0)
        std::memcpy(states[b]->mutable_data(i), next.as<unsigned char>() + b * num_bytes, num_bytes);
  }
}

bool Session::is_next_state(std::size_t output) const {
  const auto& states = graph_->states();
  return std::any_of(states.begin(), states.end(), [output](const GraphState& state) {
    return static_cast<std::size_t>(state.output) == output;
  });
}

Tensor Session::output(std::size_t index) const {
  if (!has_run_) throw Error(ErrorKind::kUsage, "the session has not run; call run first");
  if (is_next_taken_ && is_next_state(index))
    throw Error(ErrorKind::kUsage, "output '" + graph_->outputs()[index].name +
                                       "' went into the state; read it there, or run without one");
  return plans_.front()->output(index);
}

Tensor Session::output(const std::string& name) const {
  const int index = graph_->find_output(name);
  if (index >= 0) return output(static_cast<std::size_t>(index));
  std::string names;
  for (const GraphOutput& output : graph_->outputs()) names += (names.empty() ? "" : ", ") + output.name;
  throw Error(ErrorKind::kUsage,
              "graph '" + graph_->name() + "' has no output '" + name + "'; it gives " + names);
}

void Session::start_profile() { node_ns_.assign(graph_->nodes().size() + 1, 0); }

std::vector<NodeTime> Session::profile() const {
  std::vector<NodeTime> times;
  for (std::size_t i = 0; i < node_ns_.size(); ++i) {
    if (node_ns_[i] == 0) continue;
    if (i == graph_->nodes().size()) {
      times.push_back({"output", "", node_ns_[i]});
      continue;
    }
    const Node& node = graph_->nodes()[i];
    times.push_back({node.op->name, graph_->values()[node.outputs[0]].name, node_ns_[i]});
  }
  return times;
}

int Session::num_threads() const { return pool_ == nullptr ? 1 : pool_->size(); }
std::size_t Session::num_plans() const { return plans_.size(); }
std::size_t Session::arena_bytes() const { return arena_->bytes.size(); }

}  // namespace halfbyte
