// What an operator is to the executor, which knows none by name: csrc/ops has one file each, and CMake makes
// the table of them from the files' names.
//
// Operators are those of ONNX opset 21 and of the domain `halfbyte`. Where a normal form differs from ONNX
// (the compile step writes it), the operator's file says so.
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
  // What the audit of integer-only models (audit.h) must know.
  enum class Role {
    kComputes,    // on the numbers of its inputs
    kReadsShape,  // not on numbers
    kToCodes,     // features become codes
    kFromCodes,   // codes become the numbers that leave the integer part
  };

  const char* name;
  const char* signature;
  OpPlanner plan;
  Role role = Role::kComputes;
};

// Every operator of csrc/ops and of HALFBYTE_EXTRA_SOURCES, in the order of their files' names.
const std::vector<const OpDefinition*>& all_operators();

// nullptr if there is no such operator.
const OpDefinition* find_op(const std::string& name);

// The type of a node's outputs, or kNone with `problem` saying what is wrong. An input left out has
// type kNone.
DType output_type(const OpDefinition& op, const std::vector<DType>& inputs, int num_outputs,
                  const std::vector<Attribute>& attributes, std::string& problem);

}  // namespace halfbyte
