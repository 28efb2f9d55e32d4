// The search of a transducer whose predictor and joiner are Python functions.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <utility>

#include "decode/transducer_search.h"
#include "error.h"
#include "python/arrays.h"
#include "python/bindings.h"

namespace halfbyte::python {
namespace {

using namespace nb::literals;

// predictor: (N, 2) int64 -> (N, J) float32; joiner: (N, J), (N, J) -> (N, V) float32, memoryviews in,
// buffers out. Made, called and destroyed under the GIL.
class FunctionTransducer : public Transducer {
 public:
  FunctionTransducer(nb::callable predictor, nb::callable joiner)
      : predictor_(std::move(predictor)), joiner_(std::move(joiner)) {}

  FloatRows predict(const TokenRows& contexts) override {
    auto ids = std::make_unique<std::vector<int64_t>>(contexts.ids);
    int64_t* const data = ids->data();
    nb::capsule owner(ids.release(), [](void* p) noexcept { delete static_cast<std::vector<int64_t>*>(p); });
    nb::ndarray<nb::memview, int64_t, nb::c_contig> rows(data, {contexts.num_rows, contexts.num_columns},
                                                         owner);
    predicted_ = nb::cast<FloatMatrix>(predictor_(rows), false);
    return rows_of("predictor", predicted_, contexts.num_rows);
  }

  FloatRows join(const FloatRows& encoded, const FloatRows& predicted) override {
    log_probs_ = nb::cast<FloatMatrix>(joiner_(copied(encoded), copied(predicted)), false);
    return rows_of("joiner", log_probs_, encoded.num_rows);
  }

 private:
  static FloatView copied(const FloatRows& rows) {
    return float_view({rows.data, rows.data + rows.num_rows * rows.num_columns},
                      {rows.num_rows, rows.num_columns});
  }
  static FloatRows rows_of(const char* function, const FloatMatrix& answer, size_t num_rows) {
    if (answer.shape(0) != num_rows)
      throw Error(ErrorKind::kInput, std::string("the ") + function + " gave " +
                                         std::to_string(answer.shape(0)) + " rows for " +
                                         std::to_string(num_rows));
    return {answer.data(), num_rows, answer.shape(1)};
  }

  nb::callable predictor_, joiner_;
  FloatMatrix predicted_, log_probs_;
};

void accept(TransducerSearch& search, FloatMatrix encoded) {
  const auto steps = static_cast<int64_t>(encoded.shape(0)), width = static_cast<int64_t>(encoded.shape(1));
  search.accept({{{"encoded",
                   {1, steps, width},
                   {encoded.data(), encoded.data() + encoded.shape(0) * encoded.shape(1)}}}});
}

}  // namespace

void bind_transducer(nb::module_& decode) {
  nb::class_<Hypothesis>(decode, "Hypothesis")
      .def_ro("tokens", &Hypothesis::tokens)
      .def_ro("steps", &Hypothesis::steps, "For each token, the encoder step where it was said.")
      .def_ro("score", &Hypothesis::score, "Log probability of the alignments that survived.");
  nb::class_<TransducerSearch>(decode, "TransducerSearch", "Streaming search of a transducer.")
      .def(
          "__init__",
          [](TransducerSearch* self, nb::callable predictor, nb::callable joiner, int num_tokens,
             int blank_id, int beam, int max_symbols) {
            new (self) TransducerSearch(
                std::make_shared<FunctionTransducer>(std::move(predictor), std::move(joiner)),
                {blank_id, num_tokens, beam, max_symbols});
          },
          "predictor"_a, "joiner"_a, "num_tokens"_a, "blank_id"_a = 0, "beam"_a = 1, "max_symbols"_a = 1)
      .def("accept", accept, "encoded"_a.noconvert(), "The next (T, J) float32 encoder steps, any T.")
      .def("best", &TransducerSearch::hypotheses, "count"_a = 1,
           "The `count` best Hypothesis so far, best first; never empty.")
      .def("reset", &TransducerSearch::reset, "Back to step 0 of a new segment.")
      .def_prop_ro("num_steps", &TransducerSearch::num_steps)
      .def("save",
           [](const TransducerSearch& self) {
             const std::string bytes = self.save();
             return nb::bytes(bytes.data(), bytes.size());
           })
      .def(
          "restore",
          [](TransducerSearch& self, nb::bytes state) {
            self.restore(std::string(state.c_str(), state.size()));
          },
          "state"_a);
}

}  // namespace halfbyte::python
