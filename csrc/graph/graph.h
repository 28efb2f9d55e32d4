// One graph of a model file, checked: indices in range, values written before they are read, known
// operators, inputs of types that they take. Shapes are inferred later, for given input shapes (plan.h).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/model_file.h"
#include "graph/tensor.h"

namespace halfbyte {

struct OpDefinition;

struct Attribute {
  enum class Type : std::uint32_t { kInt = 1, kFloat = 2, kInts = 3, kText = 4 };
  std::string name;
  Type type;
  std::int64_t number = 0;
  float real = 0;
  std::vector<std::int64_t> numbers;
  std::string text;
};

struct Node {
  static constexpr int kAbsent = -1;
  const OpDefinition* op = nullptr;
  std::vector<int> inputs;   // values; kAbsent for an optional input left out
  std::vector<int> outputs;  // values
  std::vector<Attribute> attributes;
};

struct Value {
  std::string name;
  DType dtype = DType::kNone;
  int constant = -1;  // index into constants(), or -1
  int input = -1;     // index into inputs(), or -1
};

struct GraphInput {
  static constexpr std::int64_t kOpen = -1;
  int value;
  std::string name;
  DType dtype;
  Shape shape;                    // kOpen where the axis is open
  std::vector<std::string> axes;  // the name of each open axis, "" for a fixed one
  int state = -1;                 // index into states(), or -1
};

struct GraphOutput {
  int value;
  std::string name;
};

struct GraphState {
  int input;   // index into inputs()
  int output;  // index into outputs(): the next value
  Shape initial_shape;
  const void* initial;  // in the file; nullptr means zeros
  bool is_row;          // `initial` holds the last axis alone, which all others repeat
};

// Bytes of the section `weights`.
struct StoredBytes {
  std::uint64_t offset, num_bytes;
};

class Graph {
 public:
  // Throws kModelFile. Constants point into `weights`; float16 ones are widened into the graph.
  Graph(const Section& section, const Section& weights);
  // A node alone, which reads one input after the other; kNone: left out. Throws kUsage for an operator that
  // does not exist or does not take these types.
  static Graph of_node(const std::string& op, const std::vector<DType>& inputs,
                       std::vector<Attribute> attributes, int num_outputs);

  const std::string& name() const { return name_; }
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Tensor>& constants() const { return constants_; }
  const std::vector<GraphInput>& inputs() const { return inputs_; }
  const std::vector<GraphOutput>& outputs() const { return outputs_; }
  const std::vector<GraphState>& states() const { return states_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  // Where each constant lies in the file, in the order of constants(). Graphs share what is equal.
  const std::vector<StoredBytes>& stored() const { return stored_; }

  // Index of the input or output of that name, or -1.
  int find_input(const std::string& name) const;
  int find_output(const std::string& name) const;

 private:
  friend class GraphReader;
  Graph() = default;
  std::string name_;
  std::vector<Value> values_;
  std::vector<Tensor> constants_;
  std::vector<StoredBytes> stored_;
  std::vector<GraphInput> inputs_;
  std::vector<GraphOutput> outputs_;
  std::vector<GraphState> states_;
  std::vector<Node> nodes_;
};

}  // namespace halfbyte
