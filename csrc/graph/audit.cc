#include "graph/audit.h"

#include "graph/operator.h"

namespace halfbyte {
namespace {

bool is_float(const Graph& graph, int value) {
  const DType dtype = graph.values()[value].dtype;
  return dtype == DType::kFloat32 || dtype == DType::kFloat16;
}

// Packed codes of a float layer lie beside float scales, which are inputs too. Who asks for a shape only does
// not look at the numbers.
bool touches_float(const Graph& graph, const Node& node) {
  if (node.op->role == OpDefinition::Role::kReadsShape) return false;
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

enum class Kind { kInteger, kBoundary, kFloating };

std::vector<Kind> kinds_of(const Graph& graph) {
  std::vector<Kind> kinds;
  std::vector<bool> is_number(graph.values().size());
  for (const Node& node : graph.nodes()) {
    const OpDefinition::Role role = node.op->role;
    const bool from_input = role == OpDefinition::Role::kToCodes && graph.values()[node.inputs[0]].input >= 0;
    const bool gives_numbers =
        role == OpDefinition::Role::kFromCodes || follows_logits(graph, node, is_number);
    kinds.push_back(!touches_float(graph, node)   ? Kind::kInteger
                    : from_input || gives_numbers ? Kind::kBoundary
                                                  : Kind::kFloating);
    if (kinds.back() != Kind::kBoundary || from_input) continue;
    for (int output : node.outputs) is_number[output] = true;
  }
  return kinds;
}

// Numbers that come back to integers were no logits: what made them computes in floating point, too.
void follow_back(const Graph& graph, std::vector<Kind>* kinds) {
  std::vector<bool> is_asked(graph.values().size());
  for (std::size_t i = graph.nodes().size(); i-- > 0;) {
    const Node& node = graph.nodes()[i];
    Kind& kind = (*kinds)[i];
    for (int output : node.outputs)
      if (kind == Kind::kBoundary && is_asked[output]) kind = Kind::kFloating;
    if (kind != Kind::kFloating) continue;
    for (int input : node.inputs)
      if (input != Node::kAbsent && is_float(graph, input)) is_asked[input] = true;
  }
}

}  // namespace

Audit audit(const Graph& graph) {
  std::vector<Kind> kinds = kinds_of(graph);
  follow_back(graph, &kinds);
  Audit audit;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const Node& node = graph.nodes()[i];
    auto& nodes = kinds[i] == Kind::kInteger    ? audit.integer
                  : kinds[i] == Kind::kBoundary ? audit.boundary
                                                : audit.floating;
    nodes.push_back({node.op->name, graph.values()[node.outputs[0]].name});
  }
  return audit;
}

}  // namespace halfbyte
