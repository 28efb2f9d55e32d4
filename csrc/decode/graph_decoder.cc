#include "decode/graph_decoder.h"

namespace halfbyte {

NextTokenLogProbs GraphDecoder::run(const TokenRows& tokens) {
  const auto num_rows = static_cast<int64_t>(tokens.num_rows);
  const auto num_columns = static_cast<int64_t>(tokens.num_columns);
  const Tensor ids{DType::kInt64, {num_rows, num_columns}, tokens.ids.data(), nullptr};
  graphs_.run(graph_, {{"tokens", ids}, {"memory", memory_.tensor()}}, nullptr, &answer_);
  const GraphOutputValues& answer = answer_.front();
  if (answer.shape[0] != num_rows || answer.shape[1] != num_columns)
    throw Error(ErrorKind::kModelFile, "the decoder's log_probs is " + answer.shape.to_string() +
                                           " for tokens (" + std::to_string(num_rows) + ", " +
                                           std::to_string(num_columns) +
                                           "); expected float32 (N, L, V); export the model again");
  return {answer.values.data(), tokens.num_columns, answer.size(2)};
}

}  // namespace halfbyte
