#include "graph/state.h"

#include <algorithm>
#include <cstring>

#include "error.h"
#include "graph/crc32.h"

namespace halfbyte {
namespace {

constexpr std::size_t kAlignmentBytes = 64;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION  // set by fuzzers, whose runs must be short
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
#else
constexpr std::size_t kMaxBytes = std::size_t{1} << 30;
#endif
constexpr char kMagic[] = "HBSTATE1";
// save(): magic, u32 CRC-32 of the rest, u32 of the graph, i64 left context, then the tensors.
constexpr std::size_t kHeaderBytes = 24;

// A number that two graphs share only if they are of one model file and their states have the same shapes.
std::uint32_t signature(const State& state, const ModelFile& file) {
  std::string text = file.fingerprint() + ";" + state.graph().name();
  for (std::size_t i = 0; i < state.num_tensors(); ++i)
    text += ";" + state.name(i) + state.tensor(i).shape.to_string();
  return crc32(text.data(), text.size());
}

// Copies the part that both shapes have, axis by axis; of a row, the same for all axes but the last.
void copy_prefix(const Shape& from_shape, const Shape& to_shape, int axis, std::size_t item_bytes,
                 bool is_row, const unsigned char* from, unsigned char* to) {
  if (axis == from_shape.rank()) {
    std::memcpy(to, from, item_bytes);
    return;
  }
  const int rank = from_shape.rank();
  const std::size_t from_step =
      is_row && axis + 1 < rank ? 0 : from_shape.product(axis + 1, rank) * item_bytes;
  const std::size_t to_step = to_shape.product(axis + 1, rank) * item_bytes;
  for (std::int64_t i = 0; i < std::min(from_shape[axis], to_shape[axis]); ++i)
    copy_prefix(from_shape, to_shape, axis + 1, item_bytes, is_row, from + i * from_step, to + i * to_step);
}

bool is_left_context(const GraphInput& input, int axis) {
  return axis > 0 && input.shape[axis] == GraphInput::kOpen;
}

}  // namespace

State::State(std::shared_ptr<const Model> model, const std::string& graph_name,
             std::int64_t left_context_steps)
    : model_(std::move(model)), graph_(&model_->graph(graph_name)) {
  constexpr std::int64_t kMaxSteps = 1 << 20;
  if (left_context_steps < -1 || left_context_steps > kMaxSteps)
    throw Error(ErrorKind::kUsage, "the left context is " + std::to_string(left_context_steps) +
                                       " steps, expected 0 to 1048576, or -1 for the file's");
  bool has_left_context = false;
  std::size_t end_bytes = 0;
  for (const GraphState& state : graph_->states()) {
    const GraphInput& input = graph_->inputs()[state.input];
    Tensor tensor{input.dtype, state.initial_shape, nullptr, nullptr};
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) {
      if (!is_left_context(input, axis)) continue;
      has_left_context = true;
      if (left_context_steps >= 0) tensor.shape[axis] = left_context_steps;
      left_context_steps_ = tensor.shape[axis];
    }
    offsets_bytes_.push_back(end_bytes);
    end_bytes += (tensor.num_bytes() + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
    tensors_.push_back(tensor);
  }
  if (left_context_steps >= 0 && !has_left_context)
    throw Error(ErrorKind::kUsage, "graph '" + graph_name + "' has no left context to set; leave it out");
  if (end_bytes > kMaxBytes)
    throw Error(ErrorKind::kUsage, "the states of graph '" + graph_name + "' would take " +
                                       std::to_string(end_bytes) + " bytes, at most " +
                                       std::to_string(kMaxBytes) + " run; ask for less left context");
  bytes_.resize(end_bytes / sizeof(std::uint64_t));
  reset();
}

void* State::mutable_data(std::size_t index) {
  return reinterpret_cast<unsigned char*>(bytes_.data()) + offsets_bytes_[index];
}

void State::exchange(std::vector<std::uint64_t>& bytes) {
  bytes_.swap(bytes);
  for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i].data = mutable_data(i);
}

void State::reset() {
  std::fill(bytes_.begin(), bytes_.end(), 0);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].data = mutable_data(i);
    const GraphState& state = graph_->states()[i];
    if (state.initial == nullptr || tensors_[i].num_bytes() == 0) continue;
    copy_prefix(state.initial_shape, tensors_[i].shape, 0, dtype_bytes(tensors_[i].dtype), state.is_row,
                static_cast<const unsigned char*>(state.initial),
                static_cast<unsigned char*>(mutable_data(i)));
  }
}

State::State(const State& other) { *this = other; }

State& State::operator=(const State& other) {
  model_ = other.model_;
  graph_ = other.graph_;
  left_context_steps_ = other.left_context_steps_;
  tensors_ = other.tensors_;
  offsets_bytes_ = other.offsets_bytes_;
  bytes_ = other.bytes_;
  for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i].data = mutable_data(i);
  return *this;
}

const std::string& State::name(std::size_t index) const {
  return graph_->inputs()[graph_->states()[index].input].name;
}

std::vector<std::uint8_t> State::save() const {
  std::vector<std::uint8_t> saved(kHeaderBytes + num_bytes());
  const std::uint32_t graph_signature = signature(*this, model_->file());
  std::memcpy(saved.data(), kMagic, 8);
  std::memcpy(saved.data() + 12, &graph_signature, 4);
  std::memcpy(saved.data() + 16, &left_context_steps_, 8);
  if (num_bytes() > 0) std::memcpy(saved.data() + kHeaderBytes, bytes_.data(), num_bytes());
  const std::uint32_t checksum = crc32(saved.data() + 12, saved.size() - 12);
  std::memcpy(saved.data() + 8, &checksum, 4);
  return saved;
}

void State::restore(const std::uint8_t* bytes, std::size_t num_bytes) {
  std::uint32_t checksum = 0, graph_signature = 0;
  const bool is_whole = num_bytes >= kHeaderBytes && std::memcmp(bytes, kMagic, 8) == 0;
  if (is_whole) {
    std::memcpy(&checksum, bytes + 8, 4);
    std::memcpy(&graph_signature, bytes + 12, 4);
  }
  if (!is_whole || checksum != crc32(bytes + 12, num_bytes - 12))
    throw Error(ErrorKind::kInput, "the saved state is damaged; give the bytes that save() gave");
  if (graph_signature != signature(*this, model_->file()) || num_bytes != kHeaderBytes + this->num_bytes())
    throw Error(
        ErrorKind::kInput,
        "the saved state belongs to another model, graph or left context; make a state like it first");
  if (!bytes_.empty()) std::memcpy(bytes_.data(), bytes + kHeaderBytes, this->num_bytes());
}

}  // namespace halfbyte
