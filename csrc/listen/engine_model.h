// An acoustic model in a .hb file, run by the engine.
#pragma once
#include <functional>
#include <map>
#include <memory>
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
  std::vector<std::unique_ptr<Session>> idle_;  // under fork_mutex()
};

class EngineModel : public AcousticModel {
 public:
  // Throws kModelFile for metadata that are not a model's, a family that this version does not know, and
  // graphs that are not those that the family's pipeline needs.
  explicit EngineModel(std::shared_ptr<const Model> model);
  EngineModel(const EngineModel&) = delete;

  std::shared_ptr<const ModelSettings> settings() const override { return settings_; }
  std::unique_ptr<RunState> initial_state(const std::string& graph) override;
  void run(const std::string& graph, const std::vector<NamedInput>& inputs, RunState* state,
           std::vector<GraphOutputValues>* outputs) override;
  std::string save_state(const RunState& state) override;
  std::unique_ptr<RunState> restore_state(const std::string& graph, const std::string& saved) override;

 private:
  std::shared_ptr<const Model> model_;
  std::shared_ptr<const ModelSettings> settings_;
  std::map<std::string, SessionPool> sessions_;  // of every graph
};

}  // namespace halfbyte
