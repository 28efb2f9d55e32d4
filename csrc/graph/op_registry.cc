// Every operator, its types and its planner. Normal forms, where they differ from ONNX opset 21
// (the compile step writes them): Max and Min take two inputs; Cast, ReduceX, Split, Squeeze, Unsqueeze
// take their axes and sizes as attributes; Softmax, LogSoftmax and LayerNormalization run along the
// last axis; Glu(x (..., 2D)) = x[:D] * sigmoid(x[D:]); Silu(x) = x * sigmoid(x);
// LinearFloat(x (..., K), w (K, N), bias (N)); DepthwiseConv(x (B, T, D), w (taps, D), bias (D)) without
// padding; LinearW4A8 and its kin with packed codes (N, K) and float32 scales and bias (N).
// What halfbyte.export.fuse makes of several nodes: LinearW4A8 with an activation and a residual
// (quantized_linear.h), PatchLinearW4A8 (ops_patches.cc), ChunkConv (ops_conv.cc), ChunkAttention
// (ops_attention.cc). Of integer-only models: Int..., Requantize..., QuantizeFeatures, Dequantize
// (ops_integer*.cc); fused are IntLinearCodesW4 = IntLinearW4, Requantize, IntTable; IntLinearWideW4 =
// IntLinearW4, RequantizeAdd; IntPatchLinearW4 = IntPatches, IntLinearCodesW4; IntDepthwiseWide =
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
    {"LinearW1A8", "fpfff?>f", ops::plan_linear_int<1, 8>},
    {"LinearW2A8", "fpfff?>f", ops::plan_linear_int<2, 8>},
    {"LinearW3A8", "fpfff?>f", ops::plan_linear_int<3, 8>},
    {"LinearW4A8", "fpfff?>f", ops::plan_linear_int<4, 8>},
    {"LinearW5A8", "fpfff?>f", ops::plan_linear_int<5, 8>},
    {"LinearW6A8", "fpfff?>f", ops::plan_linear_int<6, 8>},
    {"LinearW7A8", "fpfff?>f", ops::plan_linear_int<7, 8>},
    {"LinearW8A8", "fpfff?>f", ops::plan_linear_int<8, 8>},
    {"LinearW4A4", "fpfff?>f", ops::plan_linear_int<4, 4>},
    {"LinearW4A32", "fpff>f", ops::plan_linear_w4a32},
    {"PatchLinearW1A8", "fpffi*>f", ops::plan_patch_linear<1, 8>},
    {"PatchLinearW2A8", "fpffi*>f", ops::plan_patch_linear<2, 8>},
    {"PatchLinearW3A8", "fpffi*>f", ops::plan_patch_linear<3, 8>},
    {"PatchLinearW4A8", "fpffi*>f", ops::plan_patch_linear<4, 8>},
    {"PatchLinearW5A8", "fpffi*>f", ops::plan_patch_linear<5, 8>},
    {"PatchLinearW6A8", "fpffi*>f", ops::plan_patch_linear<6, 8>},
    {"PatchLinearW7A8", "fpffi*>f", ops::plan_patch_linear<7, 8>},
    {"PatchLinearW8A8", "fpffi*>f", ops::plan_patch_linear<8, 8>},
    {"PatchLinearW4A4", "fpffi*>f", ops::plan_patch_linear<4, 4>},
    {"EmbeddingW1", "ipf>f", ops::plan_embedding<1>},
    {"EmbeddingW2", "ipf>f", ops::plan_embedding<2>},
    {"EmbeddingW3", "ipf>f", ops::plan_embedding<3>},
    {"EmbeddingW4", "ipf>f", ops::plan_embedding<4>},
    {"EmbeddingW5", "ipf>f", ops::plan_embedding<5>},
    {"EmbeddingW6", "ipf>f", ops::plan_embedding<6>},
    {"EmbeddingW7", "ipf>f", ops::plan_embedding<7>},
    {"EmbeddingW8", "ipf>f", ops::plan_embedding<8>},
    {"DepthwiseConv", "fff>f", ops::plan_depthwise_conv},
    {"ChunkConv", "ffffi>f*", ops::plan_chunk_conv},
    {"QuantizeFeatures", "fff>c", ops::plan_quantize_features},
    {"Dequantize", "Af>f", ops::plan_dequantize},
    {"IntPatches", "c>c", ops::plan_int_patches},
    {"IntLinearW1", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 1>},
    {"IntLinearW2", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 2>},
    {"IntLinearW3", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 3>},
    {"IntLinearW4", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 4>},
    {"IntLinearW5", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 5>},
    {"IntLinearW6", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 6>},
    {"IntLinearW7", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 7>},
    {"IntLinearW8", "cpw>w", ops::plan_of_bits<ops::plan_int_linear, 8>},
    {"IntLinearCodesW1", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 1>},
    {"IntLinearCodesW2", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 2>},
    {"IntLinearCodesW3", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 3>},
    {"IntLinearCodesW4", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 4>},
    {"IntLinearCodesW5", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 5>},
    {"IntLinearCodesW6", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 6>},
    {"IntLinearCodesW7", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 7>},
    {"IntLinearCodesW8", "cpwwc?>c", ops::plan_of_bits<ops::plan_int_linear_codes, 8>},
    {"IntLinearWideW1", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 1>},
    {"IntLinearWideW2", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 2>},
    {"IntLinearWideW3", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 3>},
    {"IntLinearWideW4", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 4>},
    {"IntLinearWideW5", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 5>},
    {"IntLinearWideW6", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 6>},
    {"IntLinearWideW7", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 7>},
    {"IntLinearWideW8", "cpwws?>s", ops::plan_of_bits<ops::plan_int_linear_wide, 8>},
    {"IntPatchLinearW1", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 1>},
    {"IntPatchLinearW2", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 2>},
    {"IntPatchLinearW3", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 3>},
    {"IntPatchLinearW4", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 4>},
    {"IntPatchLinearW5", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 5>},
    {"IntPatchLinearW6", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 6>},
    {"IntPatchLinearW7", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 7>},
    {"IntPatchLinearW8", "cpww>c", ops::plan_of_bits<ops::plan_int_patch_linear, 8>},
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
