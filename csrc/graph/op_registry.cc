// Every operator, its types and its planner. Normal forms, where they differ from ONNX opset 21
// (the compile step writes them): Max and Min take two inputs; Cast, ReduceX, Split, Squeeze, Unsqueeze
// take their axes and sizes as attributes; Softmax, LogSoftmax and LayerNormalization run along the
// last axis; Glu(x (..., 2D)) = x[:D] * sigmoid(x[D:]); Silu(x) = x * sigmoid(x);
// LinearFloat(x (..., K), w (K, N), bias (N)); DepthwiseConv(x (B, T, D), w (taps, D), bias (D)) without
// padding; Linear with packed codes (N, K) and float32 scales and bias (N).
// What halfbyte.export.fuse makes of several nodes: Linear with an activation and a residual
// (quantized_linear.h), PatchLinear (ops_patches.cc), ChunkConv (ops_conv.cc), ChunkAttention
// (ops_attention.cc). Of integer-only models: Int..., Requantize..., QuantizeFeatures, Dequantize
// (ops_integer*.cc); fused are IntLinearCodes = IntLinear, Requantize, IntTable; IntLinearWide =
// IntLinear, RequantizeAdd; IntPatchLinear = IntPatches, IntLinearCodes; IntDepthwiseWide =
// IntDepthwise, RequantizeWide; and IntLayerNorm with IntTable.
#include "graph/op_registry.h"

#include <map>

#include "graph/ops.h"

namespace halfbyte {
namespace {

constexpr OpDefinition kOperators[] = {
    {"Add", "NN>N", ops::plan_add},
    {"Sub", "NN>N", ops::plan_sub},
    {"Mul", "NN>N", ops::plan_mul},
    {"Div", "NN>N", ops::plan_div},
    {"Mod", "NN>N", ops::plan_mod},
    {"Pow", "NN>N", ops::plan_pow},
    {"Max", "NN>N", ops::plan_max},
    {"Min", "NN>N", ops::plan_min},
    {"Equal", "TT>b", ops::plan_equal},
    {"Less", "NN>b", ops::plan_less},
    {"LessOrEqual", "NN>b", ops::plan_less_or_equal},
    {"Greater", "NN>b", ops::plan_greater},
    {"GreaterOrEqual", "NN>b", ops::plan_greater_or_equal},
    {"And", "bb>b", ops::plan_and},
    {"Or", "bb>b", ops::plan_or},
    {"Where", "bTT>T", ops::plan_where},
    {"Neg", "N>N", ops::plan_neg},
    {"Abs", "N>N", ops::plan_abs},
    {"Sqrt", "f>f", ops::plan_sqrt},
    {"Sin", "f>f", ops::plan_sin},
    {"Cos", "f>f", ops::plan_cos},
    {"Floor", "f>f", ops::plan_floor},
    {"Ceil", "f>f", ops::plan_ceil},
    {"Not", "b>b", ops::plan_not},
    {"Cast", "T>@", ops::plan_cast},
    {"Exp", "f>f", ops::plan_exp},
    {"Log", "f>f", ops::plan_log},
    {"Sigmoid", "f>f", ops::plan_sigmoid},
    {"Silu", "f>f", ops::plan_silu},
    {"Tanh", "f>f", ops::plan_tanh},
    {"Relu", "f>f", ops::plan_relu},
    {"Shape", "A>i", ops::plan_shape},
    {"Size", "A>i", ops::plan_size},
    {"Identity", "A>A", ops::plan_identity},
    {"Reshape", "Ai>A", ops::plan_reshape},
    {"Squeeze", "A>A", ops::plan_squeeze},
    {"Unsqueeze", "A>A", ops::plan_unsqueeze},
    {"Flatten", "A>A", ops::plan_flatten},
    {"Range", "NNN>N", ops::plan_range},
    {"Transpose", "A>A", ops::plan_transpose},
    {"Slice", "Aiii?i?>A", ops::plan_slice},
    {"Split", "A>A*", ops::plan_split},
    {"Expand", "Ai>A", ops::plan_expand},
    {"Concat", "A*>A", ops::plan_concat},
    {"Gather", "Ai>A", ops::plan_gather},
    {"Pad", "AiA?i?>A", ops::plan_pad},
    {"Tile", "Ai>A", ops::plan_tile},
    {"ReduceMax", "N>N", ops::plan_reduce_max},
    {"ReduceMin", "N>N", ops::plan_reduce_min},
    {"ReduceSum", "N>N", ops::plan_reduce_sum},
    {"ReduceMean", "f>f", ops::plan_reduce_mean},
    {"CumSum", "N>N", ops::plan_cumsum},
    {"Softmax", "f>f", ops::plan_softmax},
    {"LogSoftmax", "f>f", ops::plan_log_softmax},
    {"LayerNormalization", "fff>f", ops::plan_layer_norm},
    {"Glu", "f>f", ops::plan_glu},
    {"MatMul", "ff>f", ops::plan_matmul},
    {"LinearFloat", "fff?>f", ops::plan_linear_float},
    {"Linear", "fpfff?>f", ops::plan_linear},
    {"WeightOnlyLinear", "fpff>f", ops::plan_weight_only_linear},
    {"PatchLinear", "fpffi*>f", ops::plan_patch_linear},
    {"Embedding", "ipf>f", ops::plan_embedding},
    {"DepthwiseConv", "fff>f", ops::plan_depthwise_conv},
    {"ChunkConv", "ffffi>f*", ops::plan_chunk_conv},
    {"QuantizeFeatures", "fff>c", ops::plan_quantize_features},
    {"Dequantize", "Af>f", ops::plan_dequantize},
    {"IntPatches", "c>c", ops::plan_int_patches},
    {"IntLinear", "cpw>w", ops::plan_int_linear},
    {"IntLinearCodes", "cpwwc?>c", ops::plan_int_linear_codes},
    {"IntLinearWide", "cpwws?>s", ops::plan_int_linear_wide},
    {"IntPatchLinear", "cpww>c", ops::plan_int_patch_linear},
    {"IntDepthwise", "ccw>w", ops::plan_int_depthwise},
    {"IntDepthwiseWide", "ccww>s", ops::plan_int_depthwise_wide},
    {"Requantize", "ww>c", ops::plan_requantize},
    {"RequantizeWide", "ww>s", ops::plan_requantize_wide},
    {"RequantizeAdd", "wws>s", ops::plan_requantize_wide},
    {"IntTable", "cc>c", ops::plan_int_table},
    {"IntGlu", "cs>c", ops::plan_int_glu},
    {"IntLayerNorm", "swic?>c", ops::plan_int_layer_norm},
    {"IntLayerNormWide", "swi>s", ops::plan_int_layer_norm_wide},
    {"IntAttention", "cccccccc>c", ops::plan_int_attention},
    {"ChunkAttention", "fffffffffi>f*", ops::plan_chunk_attention},
};

}  // namespace

const OpDefinition* find_op(const std::string& name) {
  static const std::map<std::string, const OpDefinition*> by_name = [] {
    std::map<std::string, const OpDefinition*> map;
    for (const OpDefinition& op : kOperators) map.emplace(op.name, &op);
    return map;
  }();
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

std::vector<std::string> operator_names() {
  std::vector<std::string> names;
  for (const OpDefinition& op : kOperators) names.emplace_back(op.name);
  return names;
}

}  // namespace halfbyte
