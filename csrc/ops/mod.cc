#include <cmath>

#include "ops/shared/binary.h"

namespace halfbyte::ops {

// ONNX Mod: fmod = 0 takes the divisor's sign (integers), fmod = 1 the dividend's.
struct FloorMod {
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    if (b == 0 || b == -1) return 0;
    const std::int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
};
struct TruncatedMod {
  float operator()(float a, float b) const { return std::fmod(a, b); }
  std::int64_t operator()(std::int64_t a, std::int64_t b) const { return b == 0 || b == -1 ? 0 : a % b; }
};

static RunFunction plan(NodePlanner& node) {
  if (node.attribute("fmod", 0) == 1) return plan_numeric(node, TruncatedMod{});
  if (node.dtype(0) == DType::kFloat32) node.fail("Mod of float32 needs fmod=1");
  return plan_pairs<std::int64_t, std::int64_t>(node, FloorMod{});
}

extern const OpDefinition op_mod{"Mod", "NN>N", plan};

}  // namespace halfbyte::ops
