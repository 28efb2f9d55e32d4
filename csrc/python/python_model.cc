#include "python/python_model.h"

#include <utility>
#include <vector>

#include "error.h"
#include "python/function_decoder.h"

namespace halfbyte::python {
namespace {

// What a Python object is to a stream; let go of under the GIL, wherever the stream ends.
class PythonState : public AcousticState {
 public:
  explicit PythonState(nb::object state) : object(std::move(state)) {}
  ~PythonState() override {
    nb::gil_scoped_acquire gil;
    object.reset();
  }
  nb::object object;
};

const nb::object& object_of(const AcousticState& state) {
  return static_cast<const PythonState&>(state).object;
}

// (T, F) that Python may keep.
FloatView copy_of(const FloatRows& rows) {
  const std::size_t size = rows.num_rows * rows.num_columns;
  return float_view(std::vector<float>(rows.data, rows.data + size), {rows.num_rows, rows.num_columns});
}

FloatMatrix matrix_of(const nb::handle& object, const char* name) {
  FloatMatrix matrix;
  if (!nb::try_cast(object, matrix, false))
    throw Error(ErrorKind::kInput,
                std::string("the model gave ") + name + " that are no contiguous float32 of two axes");
  return matrix;
}

// A decoder with the Python object that it is, or that it calls.
class HeldDecoder : public Decoder {
 public:
  HeldDecoder(nb::object object, Decoder* decoder) : object_(std::move(object)), decoder_(decoder) {}
  HeldDecoder(std::unique_ptr<Decoder> own) : own_(std::move(own)), decoder_(own_.get()) {}
  ~HeldDecoder() override {
    nb::gil_scoped_acquire gil;
    own_.reset();
    object_.reset();
  }
  NextTokenLogProbs run(const TokenRows& tokens) override { return decoder_->run(tokens); }

 private:
  nb::object object_;
  std::unique_ptr<Decoder> own_;
  Decoder* decoder_;
};

}  // namespace

PythonModel::PythonModel(nb::object model)
    : model_(std::move(model)),
      settings_(
          std::make_shared<const ModelSettings>(nb::cast<const ModelSettings&>(model_.attr("settings")))) {}

std::unique_ptr<AcousticState> PythonModel::initial_state() {
  nb::gil_scoped_acquire gil;
  return std::make_unique<PythonState>(model_.attr("initial_state")());
}

void PythonModel::encode(const FloatRows& features, AcousticState& state, EncodedChunk* out) {
  nb::gil_scoped_acquire gil;
  const nb::object pair = model_.attr("encode")(copy_of(features), object_of(state));
  const FloatMatrix memory = matrix_of(pair[0], "encoder outputs");
  const FloatMatrix log_probs = matrix_of(pair[1], "log-probabilities");
  if (memory.shape(0) != log_probs.shape(0))
    throw Error(ErrorKind::kInput, "the model gave " + std::to_string(memory.shape(0)) +
                                       " encoder outputs and log-probabilities of " +
                                       std::to_string(log_probs.shape(0)) + " steps");
  out->num_steps = memory.shape(0);
  out->width = memory.shape(1);
  out->num_tokens = log_probs.shape(1);
  out->memory.assign(memory.data(), memory.data() + memory.size());
  out->log_probs.assign(log_probs.data(), log_probs.data() + log_probs.size());
}

std::unique_ptr<Decoder> PythonModel::decoder(const FloatRows& memory) {
  nb::gil_scoped_acquire gil;
  nb::object given = model_.attr("decoder")(copy_of(memory));
  if (Decoder* known = nullptr; nb::try_cast(given, known, false) && known != nullptr)
    return std::make_unique<HeldDecoder>(std::move(given), known);
  auto called = std::make_unique<FunctionDecoder>(nb::cast<nb::callable>(given));
  given.reset();
  return std::make_unique<HeldDecoder>(std::move(called));
}

std::string PythonModel::save_state(const AcousticState& state) {
  nb::gil_scoped_acquire gil;
  const auto saved = nb::cast<nb::bytes>(model_.attr("save_state")(object_of(state)));
  return std::string(saved.c_str(), saved.size());
}

std::unique_ptr<AcousticState> PythonModel::restore_state(const std::string& saved) {
  nb::gil_scoped_acquire gil;
  return std::make_unique<PythonState>(model_.attr("restore_state")(nb::bytes(saved.data(), saved.size())));
}

}  // namespace halfbyte::python
