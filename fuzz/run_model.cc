#include "run_model.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "error.h"
#include "graph/model.h"
#include "graph/session.h"
#include "graph/state.h"

namespace {

using namespace halfbyte;

constexpr std::int64_t kOpenAxis = 3;  // size of an axis that takes any
constexpr std::int64_t kMaxElements = 1 << 16;

// An input of ones; no tensor if it would be too large to be of interest.
Tensor ones(const GraphInput& input) {
  Tensor tensor{input.dtype, {}, nullptr, nullptr};
  std::int64_t elements = 1;
  for (int axis = 0; axis < input.shape.rank(); ++axis) {
    const bool is_open = input.shape[axis] == GraphInput::kOpen;
    const std::int64_t size = is_open ? kOpenAxis : input.shape[axis];
    if (size > kMaxElements || (elements *= size) > kMaxElements) return {};
    tensor.shape.push_back(size);
  }
  auto data = std::make_shared<std::vector<std::int64_t>>(elements + 1);
  for (std::int64_t i = 0; i < elements; ++i) {
    if (input.dtype == DType::kInt64) (*data)[i] = 1;
    if (input.dtype == DType::kFloat32) reinterpret_cast<float*>(data->data())[i] = 1.0f;
    if (input.dtype == DType::kBool) reinterpret_cast<std::uint8_t*>(data->data())[i] = 1;
  }
  tensor.data = data->data();
  tensor.owner = data;
  return tensor;
}

void run_graph(const std::shared_ptr<const Model>& model, const Graph& graph) {
  Session session(model, graph.name());
  State state(model, graph.name());
  for (const GraphInput& input : graph.inputs()) {
    if (input.state >= 0) continue;
    const Tensor tensor = ones(input);
    if (tensor.dtype == DType::kNone) return;
    session.set_input(input.name, tensor);
  }
  session.run(state);
  session.run(state);
  State other(model, graph.name());
  const auto saved = state.save();
  other.restore(saved.data(), saved.size());
}

}  // namespace

void run_model(const std::string& path) {
  std::shared_ptr<const Model> model;
  try {
    model = Model::open(path);
  } catch (const Error&) {
    return;
  }
  for (const auto& [name, graph] : model->graphs()) {
    try {
      run_graph(model, graph);
    } catch (const Error&) {
    }
  }
}
