// A model with a watch: where the time of a stream goes.
#pragma once
#include <ctime>
#include <memory>
#include <string>
#include <utility>

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

  // Processor time of the encoder so far.
  double encoder_seconds() const { return encoder_seconds_; }

  std::shared_ptr<const ModelSettings> settings() const override { return model_->settings(); }
  std::unique_ptr<AcousticState> initial_state() override { return model_->initial_state(); }
  void encode(const FloatRows& features, AcousticState& state, EncodedChunk* out) override {
    const double start = thread_seconds();
    model_->encode(features, state, out);
    encoder_seconds_ += thread_seconds() - start;
  }
  std::unique_ptr<Decoder> decoder(const FloatRows& memory) override { return model_->decoder(memory); }
  std::string save_state(const AcousticState& state) override { return model_->save_state(state); }
  std::unique_ptr<AcousticState> restore_state(const std::string& saved) override {
    return model_->restore_state(saved);
  }

 private:
  std::shared_ptr<AcousticModel> model_;
  double encoder_seconds_ = 0;
};

}  // namespace halfbyte::python
