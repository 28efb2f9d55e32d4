#include "decode/transducer.h"

#include <string>

namespace halfbyte {
namespace {

// A graph's answer (N, 1, D) as rows.
FloatRows rows_of(const char* graph, const GraphOutputValues& answer, std::size_t num_rows) {
  if (answer.size(0) != num_rows || answer.size(1) != 1)
    throw Error(ErrorKind::kModelFile, std::string("the graph '") + graph + "' gives " + answer.name + " " +
                                           answer.shape.to_string() + " for " + std::to_string(num_rows) +
                                           " rows; expected as many, of one step; export the model again");
  return {answer.values.data(), num_rows, answer.size(2)};
}

Tensor one_step_each(const FloatRows& rows) {
  return {DType::kFloat32,
          {static_cast<int64_t>(rows.num_rows), 1, static_cast<int64_t>(rows.num_columns)},
          rows.data,
          nullptr};
}

}  // namespace

FloatRows GraphTransducer::predict(const TokenRows& contexts) {
  const Tensor tokens{DType::kInt64,
                      {static_cast<int64_t>(contexts.num_rows), static_cast<int64_t>(contexts.num_columns)},
                      contexts.ids.data(),
                      nullptr};
  graphs_.run(predictor_, {{"tokens", tokens}}, nullptr, &predicted_);
  return rows_of(predictor_, predicted_.front(), contexts.num_rows);
}

FloatRows GraphTransducer::join(const FloatRows& encoded, const FloatRows& predicted) {
  graphs_.run(joiner_, {{"encoded", one_step_each(encoded)}, {"predicted", one_step_each(predicted)}},
              nullptr, &log_probs_);
  return rows_of(joiner_, log_probs_.front(), encoded.num_rows);
}

}  // namespace halfbyte
