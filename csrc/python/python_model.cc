#include "python/python_model.h"

#include <utility>
#include <vector>

#include "error.h"

namespace halfbyte::python {
namespace {

// What a Python object is to a stream; let go of under the GIL, wherever the stream ends.
class PythonState : public RunState {
 public:
  explicit PythonState(nb::object state) : object(std::move(state)) {}
  ~PythonState() override {
    nb::gil_scoped_acquire gil;
    object.reset();
  }
  nb::object object;
};

const nb::object& object_of(const RunState& state) { return static_cast<const PythonState&>(state).object; }

// A tensor of `T` that Python may keep.
template <class T>
nb::object copy_as(const Tensor& tensor) {
  const auto size = static_cast<std::size_t>(tensor.shape.num_elements());
  auto owned = std::make_unique<std::vector<T>>(tensor.as<T>(), tensor.as<T>() + size);
  T* data = owned->data();
  nb::capsule owner(owned.release(), [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  std::vector<std::size_t> shape;
  for (int axis = 0; axis < tensor.shape.rank(); ++axis)
    shape.push_back(static_cast<std::size_t>(tensor.shape[axis]));
  return nb::cast(nb::ndarray<nb::memview, T, nb::c_contig>(data, shape.size(), shape.data(), owner));
}

nb::object copy_of(const Tensor& tensor) {
  return tensor.dtype == DType::kInt64 ? copy_as<std::int64_t>(tensor) : copy_as<float>(tensor);
}

void take_output(const nb::handle& given, GraphOutputValues* out) {
  nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu> values;
  if (!nb::try_cast(given, values, false))
    throw Error(ErrorKind::kInput, std::string("the model gave a ") + out->name +
                                       " that is not contiguous float32 of three axes");
  out->shape = {};
  for (std::size_t axis = 0; axis < 3; ++axis)
    out->shape.push_back(static_cast<std::int64_t>(values.shape(axis)));
  out->values.assign(values.data(), values.data() + values.size());
}

}  // namespace

PythonModel::PythonModel(nb::object model)
    : model_(std::move(model)),
      settings_(
          std::make_shared<const ModelSettings>(nb::cast<const ModelSettings&>(model_.attr("settings")))) {}

std::unique_ptr<RunState> PythonModel::initial_state(const std::string& graph) {
  nb::gil_scoped_acquire gil;
  return std::make_unique<PythonState>(model_.attr("initial_state")(graph.c_str()));
}

void PythonModel::run(const std::string& graph, const std::vector<NamedInput>& inputs, RunState* state,
                      std::vector<GraphOutputValues>* outputs) {
  nb::gil_scoped_acquire gil;
  nb::dict given;
  for (const NamedInput& input : inputs) given[input.name] = copy_of(input.tensor);
  nb::list wanted;
  for (const GraphOutputValues& output : *outputs) wanted.append(output.name);
  const nb::object memory = state == nullptr ? nb::none() : object_of(*state);
  const nb::object found = model_.attr("run")(graph.c_str(), given, wanted, memory);
  for (std::size_t i = 0; i < outputs->size(); ++i) take_output(found[i], &(*outputs)[i]);
}

std::string PythonModel::save_state(const RunState& state) {
  nb::gil_scoped_acquire gil;
  const auto saved = nb::cast<nb::bytes>(model_.attr("save_state")(object_of(state)));
  return std::string(saved.c_str(), saved.size());
}

std::unique_ptr<RunState> PythonModel::restore_state(const std::string& graph, const std::string& saved) {
  nb::gil_scoped_acquire gil;
  const nb::bytes bytes(saved.data(), saved.size());
  return std::make_unique<PythonState>(model_.attr("restore_state")(graph.c_str(), bytes));
}

}  // namespace halfbyte::python
