#include "graph/graph.h"

#include "error.h"
#include "graph/operator.h"

namespace halfbyte {

Graph Graph::of_node(const std::string& op, const std::vector<DType>& inputs,
                     std::vector<Attribute> attributes, int num_outputs) {
  Graph graph;
  graph.name_ = op;
  Node node{find_op(op), {}, {}, std::move(attributes)};
  if (node.op == nullptr)
    throw Error(ErrorKind::kUsage, "the engine has no operator '" + op + "'; operators() names what it runs");
  const auto new_value = [&graph](const char* name, DType dtype) {
    graph.values_.push_back({name, dtype});
    return static_cast<int>(graph.values_.size()) - 1;
  };
  for (DType dtype : inputs)
    node.inputs.push_back(dtype == DType::kNone ? Node::kAbsent : new_value("input", dtype));
  std::string problem;
  const DType dtype = output_type(*node.op, inputs, num_outputs, node.attributes, problem);
  if (dtype == DType::kNone) throw Error(ErrorKind::kUsage, problem);
  for (int i = 0; i < num_outputs; ++i) node.outputs.push_back(new_value("output", dtype));
  graph.nodes_.push_back(std::move(node));
  return graph;
}

int Graph::find_input(const std::string& name) const {
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    if (inputs_[i].name == name) return static_cast<int>(i);
  return -1;
}

int Graph::find_output(const std::string& name) const {
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    if (outputs_[i].name == name) return static_cast<int>(i);
  return -1;
}

}  // namespace halfbyte
