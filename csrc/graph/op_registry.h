// The operators that the executor runs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/node_planner.h"
#include "graph/tensor.h"

namespace halfbyte {

// `signature` gives types: inputs, '>', outputs. f float32, i int64, b bool, p packed;
// c int8, s int16, w int32; N float32 or int64, T also bool, A any of all these, each the same type
// throughout; '@' the type that attribute "to" names. '?' after a letter: may be left out. '*': one or more.
struct OpDefinition {
  const char* name;
  const char* signature;
  OpPlanner plan;
};

// nullptr if there is no such operator.
const OpDefinition* find_op(const std::string& name);

std::vector<std::string> operator_names();

// The type of a node's outputs, or kNone with `problem` saying what is wrong. An input left out has
// type kNone; `to` is the attribute of that name, or 0.
DType check_signature(const OpDefinition& op, const std::vector<DType>& inputs, int num_outputs,
                      std::int64_t to, std::string& problem);

}  // namespace halfbyte
