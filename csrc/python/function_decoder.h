// A decoder that is a Python function.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decode/decoder.h"
#include "error.h"
#include "python/arrays.h"

namespace halfbyte::python {

// (N, L) int64 memoryview -> (N, L, V) float32 buffer. Takes the GIL while it is called; made and
// destroyed under it.
class FunctionDecoder : public Decoder {
 public:
  explicit FunctionDecoder(nb::callable function) : function_(std::move(function)) {}

  NextTokenLogProbs run(const TokenRows& tokens) override {
    nb::gil_scoped_acquire gil;
    auto ids = std::make_unique<std::vector<int64_t>>(tokens.ids);
    int64_t* data = ids->data();
    nb::capsule owner(ids.release(), [](void* p) noexcept { delete static_cast<std::vector<int64_t>*>(p); });
    nb::ndarray<nb::memview, int64_t, nb::c_contig> rows(data, {tokens.num_rows, tokens.num_columns}, owner);
    answer_ = nb::cast<Answer>(function_(rows), false);
    if (answer_.shape(0) != tokens.num_rows || answer_.shape(1) != tokens.num_columns) {
      throw Error(ErrorKind::kInput, "decoder gave (" + std::to_string(answer_.shape(0)) + ", " +
                                         std::to_string(answer_.shape(1)) + ", V) log probabilities for (" +
                                         std::to_string(tokens.num_rows) + ", " +
                                         std::to_string(tokens.num_columns) + ") tokens");
    }
    return NextTokenLogProbs{answer_.data(), tokens.num_columns, answer_.shape(2)};
  }

 private:
  using Answer = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
  nb::callable function_;
  Answer answer_;
};

}  // namespace halfbyte::python
