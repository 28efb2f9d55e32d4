#include "graph/audit.h"

#include "graph/op_registry.h"

namespace halfbyte {
namespace {

bool is_float(const Graph& graph, int value) {
  const DType dtype = graph.values()[value].dtype;
  return dtype == DType::kFloat32 || dtype == DType::kFloat16;
}

// Packed codes of a float layer lie beside float scales, which are inputs too. Who asks for a shape only does
// not look at the numbers.
bool touches_float(const Graph& graph, const Node& node) {
  const std::string op = node.op->name;
  if (op == "Shape" || op == "Size") return false;
  for (int input : node.inputs)
    if (input != Node::kAbsent && is_float(graph, input)) return true;
  return is_float(graph, node.outputs[0]);
}

// Whether every input that is no constant comes from Dequantize, and the output is a float too.
bool follows_logits(const Graph& graph, const Node& node, const std::vector<bool>& is_number) {
  bool reads_one = false;
  for (int input : node.inputs) {
    if (input == Node::kAbsent || graph.values()[input].constant >= 0) continue;
    if (is_float(graph, input) && !is_number[input]) return false;
    reads_one = reads_one || is_number[input];
  }
  return reads_one && is_float(graph, node.outputs[0]);
}

}  // namespace

Audit audit(const Graph& graph) {
  Audit audit;
  std::vector<bool> is_number(graph.values().size());
  for (const Node& node : graph.nodes()) {
    const std::string op = node.op->name;
    const AuditedNode audited{op, graph.values()[node.outputs[0]].name};
    const bool from_input = op == "QuantizeFeatures" && graph.values()[node.inputs[0]].input >= 0;
    if (!touches_float(graph, node)) {
      audit.integer.push_back(audited);
    } else if (from_input) {
      audit.boundary.push_back(audited);
    } else if (op == "Dequantize" || follows_logits(graph, node, is_number)) {
      audit.boundary.push_back(audited);
      for (int output : node.outputs) is_number[output] = true;
    } else {
      audit.floating.push_back(audited);
    }
  }
  return audit;
}

}  // namespace halfbyte
