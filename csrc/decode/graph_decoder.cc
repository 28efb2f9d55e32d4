#include "decode/graph_decoder.h"

#include <utility>

namespace halfbyte {

GraphDecoder::GraphDecoder(Session& session, std::vector<float> memory, size_t num_frames, size_t width)
    : session_(session),
      memory_(std::move(memory)),
      memory_shape_{1, static_cast<int64_t>(num_frames), static_cast<int64_t>(width)} {}

NextTokenLogProbs GraphDecoder::run(const TokenRows& tokens) {
  int64_t num_rows = static_cast<int64_t>(tokens.num_rows);
  int64_t num_columns = static_cast<int64_t>(tokens.num_columns);
  session_.set_input("tokens", {DType::kInt64, {num_rows, num_columns}, tokens.ids.data(), nullptr});
  session_.set_input("memory", {DType::kFloat32, memory_shape_, memory_.data(), nullptr});
  session_.run();
  Tensor answer = session_.output("log_probs");
  if (answer.dtype != DType::kFloat32 || answer.shape.rank() != 3 || answer.shape[0] != num_rows ||
      answer.shape[1] != num_columns) {
    throw Error(ErrorKind::kModelFile, "the decoder's log_probs is " + answer.shape.to_string() +
                                           " for tokens (" + std::to_string(num_rows) + ", " +
                                           std::to_string(num_columns) +
                                           "); expected float32 (N, L, V); export the model again");
  }
  return NextTokenLogProbs{answer.as<float>(), tokens.num_columns, static_cast<size_t>(answer.shape[2])};
}

}  // namespace halfbyte
