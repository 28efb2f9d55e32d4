// An acoustic model that is a Python object (halfbyte/listen/acoustic_model.py).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "listen/acoustic_model.h"
#include "python/arrays.h"

namespace halfbyte::python {

// Takes the GIL for every call: streams may run on any thread, with or without it.
class PythonModel : public AcousticModel {
 public:
  // Reads `model.settings` once. Under the GIL, as is the destructor.
  explicit PythonModel(nb::object model);

  std::shared_ptr<const ModelSettings> settings() const override { return settings_; }
  std::unique_ptr<RunState> initial_state(const std::string& graph) override;
  // Throws kInput where the object gives other things than float32 of three axes.
  void run(const std::string& graph, const std::vector<NamedInput>& inputs, RunState* state,
           std::vector<GraphOutputValues>* outputs) override;
  std::string save_state(const RunState& state) override;
  std::unique_ptr<RunState> restore_state(const std::string& graph, const std::string& saved) override;

 private:
  nb::object model_;
  std::shared_ptr<const ModelSettings> settings_;
};

}  // namespace halfbyte::python
