#include "ops/shared/binary.h"

namespace halfbyte::ops {

struct Divide {
  float operator()(float a, float b) const { return a / b; }
  // Towards zero. A division by zero gives 0: integer inputs may be data of a hostile file.
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    if (b == 0) return 0;
    return b == -1 ? static_cast<std::int64_t>(-static_cast<std::uint64_t>(a)) : a / b;
  }
};

static RunFunction plan(NodePlanner& node) { return plan_numeric(node, Divide{}); }

extern const OpDefinition op_div{"Div", "NN>N", plan};

}  // namespace halfbyte::ops
