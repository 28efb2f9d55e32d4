// One operator alone, outside of any graph: for tests, and for trying an operator out.
#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/tensor.h"
#include "kernels/kernels.h"

namespace halfbyte {

struct OperatorCall {
  std::string name;
  std::vector<Tensor> inputs;  // of type kNone where one is left out
  std::vector<Attribute> attributes;
  int num_outputs = 1;
  bool is_in_place = false;  // output 0 is written over the first input for which the operator allows it
};

// Outputs start at the alignment of their type alone. Throws kUsage for an operator that does not exist or
// does not take these types, kInput as the operator does, and std::logic_error if it writes beside its
// outputs or its scratch memory.
std::vector<Tensor> run_operator(const OperatorCall& call, const Kernels& kernels, int num_threads = 1);

}  // namespace halfbyte
