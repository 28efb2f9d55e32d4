// A model with a watch: where the time of a stream goes.
#pragma once
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "listen/acoustic_model.h"

namespace halfbyte::python {

// Processor time of the calling thread.
inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Another model, of one stream.
class TimedModel : public AcousticModel {
 public:
  explicit TimedModel(std::shared_ptr<AcousticModel> model) : model_(std::move(model)) {}

  // Processor time so far of graphs with a state, which follow the audio.
  double encoder_seconds() const { return encoder_seconds_; }

  std::shared_ptr<const ModelSettings> settings() const override { return model_->settings(); }
  std::unique_ptr<RunState> initial_state(const std::string& graph) override {
    return model_->initial_state(graph);
  }
  void run(const std::string& graph, const std::vector<NamedInput>& inputs, RunState* state,
           std::vector<GraphOutputValues>* outputs) override {
    const double start = thread_seconds();
    model_->run(graph, inputs, state, outputs);
    if (state != nullptr) encoder_seconds_ += thread_seconds() - start;
  }
  std::string save_state(const RunState& state) override { return model_->save_state(state); }
  std::unique_ptr<RunState> restore_state(const std::string& graph, const std::string& saved) override {
    return model_->restore_state(graph, saved);
  }

 private:
  std::shared_ptr<AcousticModel> model_;
  double encoder_seconds_ = 0;
};

}  // namespace halfbyte::python
