// An acoustic model that is a Python object (halfbyte/listen/acoustic_model.py).
#pragma once
#include <memory>
#include <string>

#include "listen/acoustic_model.h"
#include "python/arrays.h"

namespace halfbyte::python {

// Takes the GIL for every call: streams may run on any thread, with or without it.
class PythonModel : public AcousticModel {
 public:
  // Reads `model.settings` once. Under the GIL, as is the destructor.
  explicit PythonModel(nb::object model);

  std::shared_ptr<const ModelSettings> settings() const override { return settings_; }
  std::unique_ptr<AcousticState> initial_state() override;
  // Throws kInput where the object gives no pair of float32 matrices.
  void encode(const FloatRows& features, AcousticState& state, EncodedChunk* out) override;
  std::unique_ptr<Decoder> decoder(const FloatRows& memory) override;
  std::string save_state(const AcousticState& state) override;
  std::unique_ptr<AcousticState> restore_state(const std::string& saved) override;

 private:
  nb::object model_;
  std::shared_ptr<const ModelSettings> settings_;
};

}  // namespace halfbyte::python
