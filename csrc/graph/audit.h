// Whether a graph computes on integers between its features and its logits.
#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"

namespace halfbyte {

struct AuditedNode {
  std::string op;
  std::string output;  // name of the node's first output
};

struct Audit {
  std::vector<AuditedNode> integer;   // read and write no float number
  std::vector<AuditedNode> boundary;  // features to codes, codes to numbers, and what only reads such numbers
  std::vector<AuditedNode> floating;  // the others: the graph is integer-only if there are none
};

// A float number may become codes in QuantizeFeatures alone, straight from an input of the graph; what
// Dequantize gives may be computed with, but never comes back to integers.
Audit audit(const Graph& graph);

}  // namespace halfbyte
