// The planners of all operators, by family; op_registry.cc names them.
#pragma once
#include "graph/node_planner.h"

namespace halfbyte::ops {

// ops_binary.cc: numpy broadcasting; integer division and remainder round as ONNX says.
RunFunction plan_add(NodePlanner& node);
RunFunction plan_sub(NodePlanner& node);
RunFunction plan_mul(NodePlanner& node);
RunFunction plan_div(NodePlanner& node);
RunFunction plan_mod(NodePlanner& node);
RunFunction plan_pow(NodePlanner& node);
RunFunction plan_max(NodePlanner& node);
RunFunction plan_min(NodePlanner& node);
RunFunction plan_equal(NodePlanner& node);
RunFunction plan_less(NodePlanner& node);
RunFunction plan_less_or_equal(NodePlanner& node);
RunFunction plan_greater(NodePlanner& node);
RunFunction plan_greater_or_equal(NodePlanner& node);
RunFunction plan_and(NodePlanner& node);
RunFunction plan_or(NodePlanner& node);
RunFunction plan_where(NodePlanner& node);

// ops_unary.cc
RunFunction plan_neg(NodePlanner& node);
RunFunction plan_abs(NodePlanner& node);
RunFunction plan_sqrt(NodePlanner& node);
RunFunction plan_sin(NodePlanner& node);
RunFunction plan_cos(NodePlanner& node);
RunFunction plan_floor(NodePlanner& node);
RunFunction plan_ceil(NodePlanner& node);
RunFunction plan_not(NodePlanner& node);
RunFunction plan_cast(NodePlanner& node);
RunFunction plan_exp(NodePlanner& node);
RunFunction plan_log(NodePlanner& node);
RunFunction plan_sigmoid(NodePlanner& node);
RunFunction plan_silu(NodePlanner& node);
RunFunction plan_tanh(NodePlanner& node);
RunFunction plan_relu(NodePlanner& node);

// ops_shape.cc: shapes as values, and views
RunFunction plan_shape(NodePlanner& node);
RunFunction plan_size(NodePlanner& node);
RunFunction plan_identity(NodePlanner& node);
RunFunction plan_reshape(NodePlanner& node);
RunFunction plan_squeeze(NodePlanner& node);
RunFunction plan_unsqueeze(NodePlanner& node);
RunFunction plan_flatten(NodePlanner& node);
RunFunction plan_range(NodePlanner& node);

// ops_move.cc, ops_join.cc: the same elements elsewhere
RunFunction plan_transpose(NodePlanner& node);
RunFunction plan_slice(NodePlanner& node);
RunFunction plan_split(NodePlanner& node);
RunFunction plan_expand(NodePlanner& node);
RunFunction plan_concat(NodePlanner& node);
RunFunction plan_gather(NodePlanner& node);
RunFunction plan_pad(NodePlanner& node);
RunFunction plan_tile(NodePlanner& node);

// ops_reduce.cc
RunFunction plan_reduce_max(NodePlanner& node);
RunFunction plan_reduce_min(NodePlanner& node);
RunFunction plan_reduce_sum(NodePlanner& node);
RunFunction plan_reduce_mean(NodePlanner& node);
RunFunction plan_cumsum(NodePlanner& node);

// ops_rows.cc: along the last axis
RunFunction plan_softmax(NodePlanner& node);
RunFunction plan_log_softmax(NodePlanner& node);
RunFunction plan_layer_norm(NodePlanner& node);
RunFunction plan_glu(NodePlanner& node);

// ops_linear.cc
RunFunction plan_linear_float(NodePlanner& node);
RunFunction plan_linear(NodePlanner& node);
RunFunction plan_weight_only_linear(NodePlanner& node);
RunFunction plan_embedding(NodePlanner& node);

// ops_patches.cc
RunFunction plan_patch_linear(NodePlanner& node);

// ops_matmul.cc, ops_attention.cc, ops_conv.cc
RunFunction plan_matmul(NodePlanner& node);
RunFunction plan_chunk_attention(NodePlanner& node);
RunFunction plan_depthwise_conv(NodePlanner& node);
RunFunction plan_chunk_conv(NodePlanner& node);

// ops_integer.cc: between floats and codes, patches, convolution over time
RunFunction plan_quantize_features(NodePlanner& node);
RunFunction plan_dequantize(NodePlanner& node);
RunFunction plan_int_patches(NodePlanner& node);
RunFunction plan_int_depthwise(NodePlanner& node);
RunFunction plan_int_depthwise_wide(NodePlanner& node);

// ops_integer_linear.cc: to sums, to int8 codes with a table, to int16 with a residual
RunFunction plan_int_linear(NodePlanner& node);
RunFunction plan_int_linear_codes(NodePlanner& node);
RunFunction plan_int_linear_wide(NodePlanner& node);
RunFunction plan_int_patch_linear(NodePlanner& node);

// ops_integer_rows.cc
RunFunction plan_requantize(NodePlanner& node);
RunFunction plan_requantize_wide(NodePlanner& node);
RunFunction plan_int_table(NodePlanner& node);
RunFunction plan_int_glu(NodePlanner& node);
RunFunction plan_int_layer_norm(NodePlanner& node);
RunFunction plan_int_layer_norm_wide(NodePlanner& node);

// ops_integer_attention.cc
RunFunction plan_int_attention(NodePlanner& node);

}  // namespace halfbyte::ops
