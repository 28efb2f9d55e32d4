// How to run a graph for given input shapes: every shape, every address, what is known beforehand.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "graph/graph.h"
#include "graph/memory_plan.h"
#include "graph/node_planner.h"

namespace halfbyte {

class Plan {
 public:
  // `inputs` gives the shapes, one tensor per graph input. Nodes that depend only on constants and
  // shapes run here, once. Throws kInput if the graph cannot take these shapes.
  // `pool` runs the steps; nullptr for the calling thread alone.
  Plan(const Graph& graph, const std::vector<Tensor>& inputs, const Kernels& kernels,
       ThreadPool* pool = nullptr);

  bool fits(const std::vector<Tensor>& inputs) const;
  std::size_t arena_bytes() const { return arena_bytes_; }
  // Of the graph's next states, each at the next multiple of 64, in the order of Graph::states().
  std::size_t next_bytes() const { return next_bytes_; }
  std::size_t num_steps() const { return steps_.size(); }

  // Runs all steps. `arena` has arena_bytes() bytes and is 64-byte aligned; the next states are written to
  // `next`, of next_bytes(). `node_ns`, if given, has num_nodes + 1 places: each node's nanoseconds are
  // added to its own, and the copying of outputs to the last.
  void run(const std::vector<Tensor>& inputs, unsigned char* arena, unsigned char* next,
           std::int64_t* node_ns = nullptr);
  // An output of the last run.
  Tensor output(std::size_t index) const;

 private:
  static constexpr std::ptrdiff_t kInArena = -1;
  enum class Place { kNowhere, kKnown, kInput, kArena };
  // A value's data: `base` is an input's index, or a buffer's, or nothing.
  struct Location {
    Place place = Place::kNowhere;
    int base = -1;
    std::size_t offset_bytes = 0;
  };
  struct Step {
    int node;  // index, or the number of nodes: copying an output
    RunFunction run;
    std::vector<int> inputs;   // values, or Node::kAbsent
    std::vector<int> outputs;  // values
    int scratch = -1;          // buffer
  };

  void count_uses();
  void plan_node(int index);
  void evaluate(const Node& node, NodePlanner& planner, const RunFunction& run);
  void place_outputs(int index, const Node& node, const NodePlanner& planner);
  bool place_over_input(int index, const Node& node, const NodePlanner& planner);
  void make_view(int value, int of, std::size_t offset_bytes);
  int new_buffer(std::size_t num_bytes, int first, int last);
  int copied(int value);
  void place_outputs_in_arena();
  void place_next_states();
  unsigned char* buffer(int index, unsigned char* arena, unsigned char* next) const;
  void drop_unread_steps();
  void forget_unused();
  void* address(int value, const std::vector<Tensor>& inputs, unsigned char* arena,
                unsigned char* next) const;
  void run_step(const Step& step, unsigned char* arena);

  const Graph& graph_;
  const Kernels& kernels_;
  ThreadPool* pool_;
  std::vector<Shape> input_shapes_;
  std::vector<PlannedValue> values_;
  std::vector<Location> locations_;
  std::vector<int> last_use_;  // per value: the last node that reads it; num_nodes for outputs
  std::vector<Lifetime> buffers_;
  std::vector<Step> steps_;
  std::vector<int> output_values_;
  std::vector<void*> addresses_;          // per value, of the last run
  std::vector<const void*> step_inputs_;  // room for one step
  std::vector<void*> step_outputs_;
  std::vector<std::ptrdiff_t> next_offsets_;  // per buffer: where it lies among the next states, or kInArena
  std::size_t arena_bytes_ = 0;
  std::size_t next_bytes_ = 0;
};

}  // namespace halfbyte
