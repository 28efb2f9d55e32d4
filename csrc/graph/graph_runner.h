// A model's graphs by name, whoever runs them: the engine, or in tests and comparisons a Python object.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graph/tensor.h"

namespace halfbyte {

// Rows of numbers that somebody else holds, row-major.
struct FloatRows {
  const float* data;
  std::size_t num_rows;
  std::size_t num_columns;

  // The same as (1, rows, columns), the form in which graphs take them.
  Tensor tensor() const {
    return {DType::kFloat32,
            {1, static_cast<std::int64_t>(num_rows), static_cast<std::int64_t>(num_columns)},
            data,
            nullptr};
  }
};

// An input of a graph, read during the run.
struct NamedInput {
  const char* name;
  Tensor tensor;
};

// An output of a graph that the caller wants, copied; float32 (N, C, D).
struct GraphOutputValues {
  const char* name;
  Shape shape = {};
  std::vector<float> values = {};

  std::size_t size(int axis) const { return static_cast<std::size_t>(shape[axis]); }
};

// The memory of one graph of a stream between two runs.
class RunState {
 public:
  virtual ~RunState() = default;
};

// May serve several threads at once, each with states of its own.
class GraphRunner {
 public:
  virtual ~GraphRunner() = default;

  // State of a graph before its first run.
  virtual std::unique_ptr<RunState> initial_state(const std::string& graph) = 0;
  // Runs a graph and fills `outputs`. `state` moves on; nullptr for a graph that has none. Throws kModelFile
  // where an output is not float32 of three axes.
  virtual void run(const std::string& graph, const std::vector<NamedInput>& inputs, RunState* state,
                   std::vector<GraphOutputValues>* outputs) = 0;

  // A state as bytes, and back; throws kInput for bytes that do not fit.
  virtual std::string save_state(const RunState& state) = 0;
  virtual std::unique_ptr<RunState> restore_state(const std::string& graph, const std::string& saved) = 0;
};

}  // namespace halfbyte
