#include "listen/engine_model.h"

#include <utility>

#include "error.h"
#include "fork.h"
#include "listen/pipeline.h"

namespace halfbyte {
namespace {

struct EngineState : RunState {
  explicit EngineState(State initial) : state(std::move(initial)) {}
  State state;
};

std::shared_ptr<const ModelSettings> settings_of(const Model& model) {
  const Section& meta = *model.file().find("meta");  // Model::open has seen it
  const std::string json(reinterpret_cast<const char*>(meta.bytes), meta.num_bytes);
  return std::make_shared<const ModelSettings>(read_settings(json));
}

[[noreturn]] void refuse_graph(const PipelineDefinition& pipeline, const std::string& graph,
                               const std::string& problem) {
  throw Error(ErrorKind::kModelFile, "graph '" + graph + "' " + problem + ", as the family '" +
                                         pipeline.family + "' needs; export the model again");
}

bool takes(const Graph& graph, const GraphNeeds::Input& needed) {
  const int index = graph.find_input(needed.name);
  if (index < 0) return false;
  const GraphInput& input = graph.inputs()[index];
  return input.dtype == needed.dtype && input.shape.rank() == needed.num_axes;
}

// Inputs and outputs that the pipeline asks for (docs/model-file.md).
void check_graphs(const Model& model, const PipelineDefinition& pipeline) {
  for (const GraphNeeds& needs : pipeline.graphs) {
    const auto found = model.graphs().find(needs.name);
    if (found == model.graphs().end())
      throw Error(ErrorKind::kModelFile, std::string("has no graph '") + needs.name +
                                             "', which the family '" + pipeline.family +
                                             "' needs; compile it again");
    for (const GraphNeeds::Input& input : needs.inputs)
      if (!takes(found->second, input))
        refuse_graph(pipeline, needs.name,
                     std::string("takes no ") + dtype_name(input.dtype) + " '" + input.name + "' of " +
                         std::to_string(input.num_axes) + " axes");
    for (const char* output : needs.outputs)
      if (found->second.find_output(output) < 0)
        refuse_graph(pipeline, needs.name, std::string("gives no '") + output + "'");
  }
}

// An output (N, C, D) float32 of a graph, copied.
void copy_output(const Session& session, GraphOutputValues* out) {
  const Tensor tensor = session.output(out->name);
  if (tensor.dtype != DType::kFloat32 || tensor.shape.rank() != 3)
    throw Error(ErrorKind::kModelFile, "the output " + std::string(out->name) + " of graph '" +
                                           session.graph().name() + "' is " + dtype_name(tensor.dtype) + " " +
                                           tensor.shape.to_string() +
                                           "; expected float32 of 3 axes; export the model again");
  out->shape = tensor.shape;
  out->values.assign(tensor.as<float>(), tensor.as<float>() + tensor.shape.num_elements());
}

}  // namespace

SessionPool::Lease SessionPool::take() {
  const auto bring_back = [this](Session* session) {
    const std::lock_guard<std::mutex> lock(fork_mutex());
    idle_.emplace_back(session);
  };
  {
    const std::lock_guard<std::mutex> lock(fork_mutex());
    if (!idle_.empty()) {
      Session* session = idle_.back().release();
      idle_.pop_back();
      return Lease(session, bring_back);
    }
  }
  return Lease(new Session(model_, graph_), bring_back);
}

EngineModel::EngineModel(std::shared_ptr<const Model> model) : model_(std::move(model)) {
  try {
    settings_ = settings_of(*model_);
    check_graphs(*model_, pipeline_of(settings_->family));
  } catch (const Error& error) {
    throw Error(error.kind(), model_->file().path() + ": " + error.what());
  }
  for (const auto& [name, graph] : model_->graphs()) sessions_.try_emplace(name, model_, name);
}

std::unique_ptr<RunState> EngineModel::initial_state(const std::string& graph) {
  return std::make_unique<EngineState>(State(model_, graph));
}

void EngineModel::run(const std::string& graph, const std::vector<NamedInput>& inputs, RunState* state,
                      std::vector<GraphOutputValues>* outputs) {
  model_->graph(graph);  // throws for a name that the model lacks
  const SessionPool::Lease session = sessions_.at(graph).take();
  for (const NamedInput& input : inputs) session->set_input(input.name, input.tensor);
  if (state == nullptr)
    session->run();
  else
    session->run(static_cast<EngineState*>(state)->state);
  for (GraphOutputValues& output : *outputs) copy_output(*session, &output);
}

std::string EngineModel::save_state(const RunState& state) {
  const std::vector<std::uint8_t> saved = static_cast<const EngineState&>(state).state.save();
  return std::string(saved.begin(), saved.end());
}

std::unique_ptr<RunState> EngineModel::restore_state(const std::string& graph, const std::string& saved) {
  auto state = std::make_unique<EngineState>(State(model_, graph));
  state->state.restore(reinterpret_cast<const std::uint8_t*>(saved.data()), saved.size());
  return state;
}

}  // namespace halfbyte
