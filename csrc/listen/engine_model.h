// An acoustic model in a .hb file, run by the engine.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "graph/session.h"
#include "listen/acoustic_model.h"

namespace halfbyte {

// Sessions of one graph that wait for work; a thread takes one and brings it back.
class SessionPool {
 public:
  using Lease = std::unique_ptr<Session, std::function<void(Session*)>>;

  SessionPool(std::shared_ptr<const Model> model, std::string graph)
      : model_(std::move(model)), graph_(std::move(graph)) {}
  // The pool must outlive its leases.
  Lease take();

 private:
  std::shared_ptr<const Model> model_;
  std::string graph_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> idle_;
};

class EngineModel : public AcousticModel {
 public:
  // Throws kModelFile where the metadata or the graphs are not those of a U2 model.
  explicit EngineModel(std::shared_ptr<const Model> model);

  std::shared_ptr<const ModelSettings> settings() const override { return settings_; }
  std::unique_ptr<AcousticState> initial_state() override;
  void encode(const FloatRows& features, AcousticState& state, EncodedChunk* out) override;
  std::unique_ptr<Decoder> decoder(const FloatRows& memory) override;
  std::string save_state(const AcousticState& state) override;
  std::unique_ptr<AcousticState> restore_state(const std::string& saved) override;

 private:
  std::shared_ptr<const Model> model_;
  std::shared_ptr<const ModelSettings> settings_;
  SessionPool encoders_, decoders_;
};

}  // namespace halfbyte
