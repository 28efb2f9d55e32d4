#include "listen/engine_model.h"

#include <utility>

#include "decode/graph_decoder.h"
#include "error.h"

namespace halfbyte {
namespace {

struct EngineState : AcousticState {
  explicit EngineState(State initial) : state(std::move(initial)) {}
  State state;
};

State& state_of(AcousticState& state) { return static_cast<EngineState&>(state).state; }

// A GraphDecoder with the session that it runs on.
class LeasedDecoder : public Decoder {
 public:
  LeasedDecoder(SessionPool::Lease session, const FloatRows& memory)
      : session_(std::move(session)),
        decoder_(*session_,
                 std::vector<float>(memory.data, memory.data + memory.num_rows * memory.num_columns),
                 memory.num_rows, memory.num_columns) {}

  NextTokenLogProbs run(const TokenRows& tokens) override { return decoder_.run(tokens); }

 private:
  SessionPool::Lease session_;
  GraphDecoder decoder_;
};

// An output (1, C, width) float32 of the encoder, copied; returns its shape.
Shape copy_output(const Session& session, const char* name, std::vector<float>* out) {
  const Tensor tensor = session.output(name);
  if (tensor.dtype != DType::kFloat32 || tensor.shape.rank() != 3 || tensor.shape[0] != 1)
    throw Error(ErrorKind::kModelFile, std::string("the encoder's ") + name + " is " +
                                           dtype_name(tensor.dtype) + " " + tensor.shape.to_string() +
                                           "; expected float32 (1, C, D); export the model again");
  out->assign(tensor.as<float>(), tensor.as<float>() + tensor.shape.num_elements());
  return tensor.shape;
}

std::shared_ptr<const ModelSettings> settings_of(const Model& model) {
  const Section& meta = *model.file().find("meta");  // Model::open has seen it
  const std::string json(reinterpret_cast<const char*>(meta.bytes), meta.num_bytes);
  return std::make_shared<const ModelSettings>(read_settings(json));
}

[[noreturn]] void refuse_graph(const std::string& graph, const std::string& problem) {
  throw Error(ErrorKind::kModelFile,
              "graph '" + graph + "' " + problem + ", as a recogniser's does; export the model again");
}

const Graph& recogniser_graph(const Model& model, const std::string& name) {
  const auto found = model.graphs().find(name);
  if (found == model.graphs().end())
    throw Error(ErrorKind::kModelFile, "has no graph '" + name + "'; compile it again");
  return found->second;
}

void require_input(const Graph& graph, const char* name, DType dtype, int rank) {
  const int index = graph.find_input(name);
  if (index >= 0 && graph.inputs()[index].dtype == dtype && graph.inputs()[index].shape.rank() == rank)
    return;
  refuse_graph(graph.name(), std::string("takes no ") + dtype_name(dtype) + " '" + name + "' of " +
                                 std::to_string(rank) + " axes");
}

void require_output(const Graph& graph, const char* name) {
  if (graph.find_output(name) < 0) refuse_graph(graph.name(), std::string("gives no '") + name + "'");
}

// Inputs and outputs that a recogniser asks for (docs/model-file.md).
void check_graphs(const Model& model) {
  const Graph& encoder = recogniser_graph(model, "encoder");
  require_input(encoder, "features", DType::kFloat32, 3);
  require_output(encoder, "encoder_out");
  require_output(encoder, "ctc_log_probs");
  const Graph& decoder = recogniser_graph(model, "decoder");
  require_input(decoder, "tokens", DType::kInt64, 2);
  require_input(decoder, "memory", DType::kFloat32, 3);
  require_output(decoder, "log_probs");
}

}  // namespace

SessionPool::Lease SessionPool::take() {
  const auto bring_back = [this](Session* session) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.emplace_back(session);
  };
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      Session* session = idle_.back().release();
      idle_.pop_back();
      return Lease(session, bring_back);
    }
  }
  return Lease(new Session(model_, graph_), bring_back);
}

EngineModel::EngineModel(std::shared_ptr<const Model> model)
    : model_(std::move(model)), encoders_(model_, "encoder"), decoders_(model_, "decoder") {
  try {
    settings_ = settings_of(*model_);
    check_graphs(*model_);
  } catch (const Error& error) {
    throw Error(error.kind(), model_->file().path() + ": " + error.what());
  }
}

std::unique_ptr<AcousticState> EngineModel::initial_state() {
  return std::make_unique<EngineState>(State(model_, "encoder"));
}

void EngineModel::encode(const FloatRows& features, AcousticState& state, EncodedChunk* out) {
  const SessionPool::Lease session = encoders_.take();
  const Shape shape{1, static_cast<std::int64_t>(features.num_rows),
                    static_cast<std::int64_t>(features.num_columns)};
  session->set_input("features", {DType::kFloat32, shape, features.data, nullptr});
  session->run(state_of(state));
  const Shape memory = copy_output(*session, "encoder_out", &out->memory);
  const Shape log_probs = copy_output(*session, "ctc_log_probs", &out->log_probs);
  const std::int64_t num_steps = (shape[1] - settings_->overlap_frames) / settings_->subsampling;
  if (memory[1] != num_steps || log_probs[1] != num_steps)
    throw Error(ErrorKind::kModelFile, "the encoder gives " + std::to_string(memory[1]) +
                                           " steps and CTC log-probabilities of " +
                                           std::to_string(log_probs[1]) + "; its metadata promises " +
                                           std::to_string(num_steps) + "; export the model again");
  out->num_steps = static_cast<std::size_t>(memory[1]);
  out->width = static_cast<std::size_t>(memory[2]);
  out->num_tokens = static_cast<std::size_t>(log_probs[2]);
}

std::unique_ptr<Decoder> EngineModel::decoder(const FloatRows& memory) {
  return std::make_unique<LeasedDecoder>(decoders_.take(), memory);
}

std::string EngineModel::save_state(const AcousticState& state) {
  const std::vector<std::uint8_t> saved = static_cast<const EngineState&>(state).state.save();
  return std::string(saved.begin(), saved.end());
}

std::unique_ptr<AcousticState> EngineModel::restore_state(const std::string& saved) {
  auto state = std::make_unique<EngineState>(State(model_, "encoder"));
  state->state.restore(reinterpret_cast<const std::uint8_t*>(saved.data()), saved.size());
  return state;
}

}  // namespace halfbyte
