// Running one graph of an open model.
//
//   auto model = Model::open("small.hb");
//   Session decoder(model, "decoder");
//   decoder.set_input("tokens", {DType::kInt64, {n, l}, ids});
//   decoder.set_input("memory", {DType::kFloat32, {1, t, d}, memory});
//   decoder.run();
//   Tensor log_probs = decoder.output("log_probs");   // (n, l, v), valid until the next run
//
// A session holds plans and an arena, and serves one thread at a time. The stream's memory is a
// State of its own, so that one session serves many streams:
//
//   Session encoder(model, "encoder");
//   State stream(model, "encoder");
//   encoder.set_input("features", features);
//   encoder.run(stream);                               // reads state.*, then writes next.* to it
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graph/model.h"
#include "graph/state.h"
#include "graph/tensor.h"

namespace halfbyte {

class Plan;
class ThreadPool;
struct Kernels;

// What a node of a graph took, over all runs since start_profile().
struct NodeTime {
  std::string op;    // "output" for the copying of outputs
  std::string name;  // of its first output
  std::int64_t nanoseconds;
};

class Session {
 public:
  // `isa` names the instruction set to run on ("" for the process's choice: kernels()). Throws kUsage
  // if the model has no graph of this name or the CPU no such instruction set.
  // Results are the same for any number of threads; 0 takes that of HALFBYTE_THREADS, or else 1.
  Session(const std::shared_ptr<const Model>& model, const std::string& graph_name,
          const std::string& isa = "", int num_threads = 0);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Hands over an input for the next runs. The data is read during run(), not copied: it must live
  // until then (`tensor.owner` may see to that). Throws kUsage for an unknown name, kInput for a
  // wrong type or shape.
  void set_input(const std::string& name, const Tensor& tensor);

  // Runs the graph. Inputs that were never set are an error (kUsage), except state inputs, which
  // then take their initial value.
  void run();
  // The same with the state inputs taken from `state`, into which the next state is written.
  void run(State& state);
  // One step of several streams as one batch: row b of every input and output belongs to states[b],
  // and has the bits that this stream would have had alone. The states must be of one length of left
  // context and all different. Throws kUsage or kInput if they do not fit together or the inputs; no
  // state changes then.
  void run(State* const* states, std::size_t num_streams);

  // An output of the last run; its data lies in the session and is valid until the next run. Throws kUsage
  // for an unknown name, before the first run, and for a next state that the state of run(state) has taken.
  Tensor output(const std::string& name) const;
  Tensor output(std::size_t index) const;  // in the order of Graph::outputs()

  // From now on every node is timed, which itself takes about 50 ns a node; until then nothing is.
  void start_profile();
  // The nodes that took any time, in the order in which they run.
  std::vector<NodeTime> profile() const;

  const Graph& graph() const { return *graph_; }
  int num_threads() const;
  std::size_t num_plans() const;
  std::size_t arena_bytes() const;

 private:
  struct Arena;
  void execute();
  void take_states(State* const* states, std::size_t num_streams);
  void check_streams(State* const* states, std::size_t num_streams) const;
  void check_batch(std::size_t num_streams) const;
  void check_next(const State& state, std::size_t num_streams) const;
  Plan& plan_for_inputs();
  bool is_next_state(std::size_t output) const;
  void check_input(std::size_t index, const Tensor& tensor) const;

  std::shared_ptr<const Model> model_;
  const Graph* graph_;
  const Kernels* kernels_;
  std::unique_ptr<ThreadPool> pool_;          // nullptr: the calling thread alone
  std::vector<Tensor> set_inputs_;            // one per graph input, dtype kNone until it is set
  std::vector<Tensor> run_inputs_;            // the same, with the states of this run
  std::vector<std::unique_ptr<Plan>> plans_;  // most recently used first
  std::unique_ptr<State> initial_state_;      // made when a run without a state asks for it
  std::unique_ptr<Arena> arena_;
  std::vector<std::uint64_t> next_;    // the next states of a run; a state takes it and leaves its own
  std::unique_ptr<Arena> gathered_;    // the states of a batch, side by side
  std::vector<std::int64_t> node_ns_;  // per node, then of copying outputs; empty: not profiled
  bool has_run_ = false;
  bool is_next_taken_ = false;
};

}  // namespace halfbyte
