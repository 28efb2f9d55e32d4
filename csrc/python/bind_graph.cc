// `halfbyte._core.graph`: model files, sessions and states; `halfbyte.engine` is its face.
#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include <cstring>
#include <tuple>

#include "error.h"
#include "graph/audit.h"
#include "graph/model.h"
#include "graph/operator.h"
#include "graph/run_operator.h"
#include "graph/session.h"
#include "python/arrays.h"
#include "python/bindings.h"
#include "python/tensors.h"

namespace nb = nanobind;

namespace halfbyte::python {
namespace {

nb::tuple tuple_of(const Shape& shape) {
  nb::list sizes;
  for (int axis = 0; axis < shape.rank(); ++axis) sizes.append(shape[axis]);
  return nb::tuple(sizes);
}

// A copy of a tensor's data, as Python bytes, with its type and shape.
nb::tuple copy_of(const Tensor& tensor) {
  const nb::bytes bytes(static_cast<const char*>(tensor.data == nullptr ? "" : tensor.data),
                        tensor.num_bytes());
  return nb::make_tuple(dtype_name(tensor.dtype), tuple_of(tensor.shape), bytes);
}

nb::list inputs_of(const Graph& graph) {
  nb::list list;
  for (const GraphInput& input : graph.inputs()) {
    nb::list axes;
    for (int axis = 0; axis < input.shape.rank(); ++axis) {
      if (input.shape[axis] == GraphInput::kOpen)
        axes.append(input.axes[axis]);
      else
        axes.append(input.shape[axis]);
    }
    list.append(nb::make_tuple(input.name, dtype_name(input.dtype), nb::tuple(axes)));
  }
  return list;
}

nb::list outputs_of(const Graph& graph) {
  nb::list list;
  for (const GraphOutput& output : graph.outputs()) list.append(output.name);
  return list;
}

// Bits of a layer's activations, 0 where they are floats.
std::int64_t activation_bits(const Node& node) {
  for (const Attribute& attribute : node.attributes)
    if (attribute.name == "activation_bits") return attribute.number;
  return 0;
}

// Layers with weights: (name, operator, dtype, bits of activations, shape, constants), each of these (name,
// parameters, bytes in the file, place among the weights).
nb::list layers_of(const Graph& graph) {
  nb::list list;
  for (const Node& node : graph.nodes()) {
    int largest = -1;
    bool is_after_codes = false, has_scale = false;
    nb::list parts;
    for (int input : node.inputs) {
      const int constant = input == Node::kAbsent ? -1 : graph.values()[input].constant;
      if (constant < 0) continue;
      const Tensor& tensor = graph.constants()[constant];
      const bool is_scale = is_after_codes && tensor.dtype == DType::kFloat32;
      // A static scale brings a step, one number, and offsets that follow from codes and zero point.
      const bool is_static = has_scale && (tensor.dtype == DType::kInt32 || tensor.shape.rank() == 0);
      is_after_codes = find_codec(tensor.dtype) != nullptr;
      has_scale = has_scale || is_scale;
      const std::int64_t num_parameters = is_scale || is_static ? 0 : tensor.shape.num_elements();
      const StoredBytes& stored = graph.stored()[constant];
      parts.append(
          nb::make_tuple(graph.values()[input].name, num_parameters, stored.num_bytes, stored.offset));
      if (largest < 0 || stored.num_bytes > graph.stored()[graph.values()[largest].constant].num_bytes)
        largest = input;
    }
    if (largest < 0 || graph.values()[largest].dtype == DType::kInt64) continue;
    const Tensor& weight = graph.constants()[graph.values()[largest].constant];
    list.append(nb::make_tuple(graph.values()[largest].name, node.op->name, dtype_name(weight.dtype),
                               activation_bits(node), tuple_of(weight.shape), nb::tuple(parts)));
  }
  return list;
}

// All nodes: (operator, names of constants in its inputs' order, whole numbers among its attributes).
nb::list nodes_of(const Graph& graph) {
  nb::list list;
  for (const Node& node : graph.nodes()) {
    nb::list names;
    for (int input : node.inputs)
      if (input != Node::kAbsent && graph.values()[input].constant >= 0)
        names.append(graph.values()[input].name);
    nb::dict numbers;
    for (const Attribute& attribute : node.attributes)
      if (attribute.type == Attribute::Type::kInt) numbers[attribute.name.c_str()] = attribute.number;
    list.append(nb::make_tuple(node.op->name, nb::tuple(names), numbers));
  }
  return list;
}

// The constant of a graph by the name that its value has: (dtype, shape, bytes); packed codes as they lie in
// the file.
nb::tuple constant_of(const Graph& graph, const std::string& name) {
  for (const Value& value : graph.values()) {
    if (value.constant < 0 || value.name != name) continue;
    const Tensor& tensor = graph.constants()[value.constant];
    if (dtype_bytes(tensor.dtype) != 0) return copy_of(tensor);
    const nb::bytes bytes(static_cast<const char*>(tensor.data), graph.stored()[value.constant].num_bytes);
    return nb::make_tuple(dtype_name(tensor.dtype), tuple_of(tensor.shape), bytes);
  }
  throw Error(ErrorKind::kUsage, "graph '" + graph.name() + "' has no constant '" + name + "'");
}

nb::list audited(const std::vector<AuditedNode>& nodes) {
  nb::list list;
  for (const AuditedNode& node : nodes) list.append(nb::make_tuple(node.op, node.output));
  return list;
}

nb::tuple audit_of(const Graph& graph) {
  const Audit found = audit(graph);
  return nb::make_tuple(audited(found.integer), audited(found.boundary), audited(found.floating));
}

nb::list sections_of(const Model& model) {
  nb::list list;
  for (const Section& section : model.file().sections())
    list.append(nb::make_tuple(section.name, section.num_bytes));
  return list;
}

nb::bytes section_of(const Model& model, const std::string& name) {
  const Section* section = model.file().find(name);
  if (section == nullptr)
    throw Error(ErrorKind::kUsage, model.file().path() + ": has no section '" + name + "'");
  return nb::bytes(section->bytes, section->num_bytes);
}

nb::list graph_names(const Model& model) {
  nb::list list;
  for (const auto& entry : model.graphs()) list.append(entry.first);
  return list;
}

void bind_model(nb::module_& m) {
  nb::class_<Model>(m, "Model")
      .def_static("open",
                  [](const std::string& path) {
                    nb::gil_scoped_release no_gil;
                    return std::const_pointer_cast<Model>(Model::open(path));
                  })
      .def_prop_ro("num_bytes", [](const Model& model) { return model.file().num_bytes(); })
      .def("graph_names", graph_names)
      .def("sections", sections_of)
      .def("section", section_of)
      .def("inputs", [](const Model& model, const std::string& name) { return inputs_of(model.graph(name)); })
      .def("outputs",
           [](const Model& model, const std::string& name) { return outputs_of(model.graph(name)); })
      .def("layers", [](const Model& model, const std::string& name) { return layers_of(model.graph(name)); })
      .def("nodes", [](const Model& model, const std::string& name) { return nodes_of(model.graph(name)); })
      .def("audit", [](const Model& model, const std::string& name) { return audit_of(model.graph(name)); })
      .def("constant", [](const Model& model, const std::string& graph, const std::string& name) {
        return constant_of(model.graph(graph), name);
      });
}

void bind_state(nb::module_& m) {
  nb::class_<State>(m, "State")
      .def("__init__",
           [](State* self, std::shared_ptr<Model> model, const std::string& graph,
              std::int64_t left_context_steps) { new (self) State(model, graph, left_context_steps); })
      .def("reset", &State::reset)
      .def("copy", &State::copy)
      .def("save",
           [](const State& state) {
             const std::vector<std::uint8_t> saved = state.save();
             return nb::bytes(reinterpret_cast<const char*>(saved.data()), saved.size());
           })
      .def("restore",
           [](State& state, nb::bytes saved) {
             state.restore(reinterpret_cast<const std::uint8_t*>(saved.c_str()), saved.size());
           })
      .def("names",
           [](const State& state) {
             std::vector<std::string> names;
             for (std::size_t i = 0; i < state.num_tensors(); ++i) names.push_back(state.name(i));
             return names;
           })
      .def("tensor",
           [](const State& state, std::size_t index) {
             if (index >= state.num_tensors()) throw nb::index_error();
             return copy_of(state.tensor(index));
           })
      .def_prop_ro("num_bytes", &State::num_bytes)
      .def_prop_ro("left_context_steps", &State::left_context_steps);
}

void bind_session(nb::module_& m) {
  nb::class_<Session>(m, "Session")
      .def("__init__",
           [](Session* self, std::shared_ptr<Model> model, const std::string& graph, const std::string& isa,
              int num_threads) { new (self) Session(model, graph, isa, num_threads); })
      .def("set_input", [](Session& session, const std::string& name,
                           nb::handle buffer) { session.set_input(name, tensor_of(buffer)); })
      .def(
          "run",
          [](Session& session, State* state) {
            nb::gil_scoped_release no_gil;
            if (state == nullptr)
              session.run();
            else
              session.run(*state);
          },
          nb::arg("state").none())
      .def("run_batch",
           [](Session& session, const std::vector<State*>& states) {
             nb::gil_scoped_release no_gil;
             session.run(states.data(), states.size());
           })
      .def("output",
           [](const Session& session, const std::string& name) { return copy_of(session.output(name)); })
      .def("start_profile", &Session::start_profile)
      .def("profile",
           [](const Session& session) {
             nb::list list;
             for (const NodeTime& time : session.profile())
               list.append(nb::make_tuple(time.op, time.name, time.nanoseconds));
             return list;
           })
      .def_prop_ro("num_threads", &Session::num_threads)
      .def_prop_ro("num_plans", &Session::num_plans)
      .def_prop_ro("arena_bytes", &Session::arena_bytes);
}

Attribute attribute_of(nb::handle name, nb::handle value) {
  Attribute attribute{nb::cast<std::string>(name), Attribute::Type::kInts};
  if (nb::isinstance<nb::str>(value)) {
    attribute.type = Attribute::Type::kText;
    attribute.text = nb::cast<std::string>(value);
  } else if (nb::isinstance<nb::float_>(value)) {
    attribute.type = Attribute::Type::kFloat;
    attribute.real = nb::cast<float>(value);
  } else if (nb::isinstance<nb::int_>(value)) {
    attribute.type = Attribute::Type::kInt;
    attribute.number = nb::cast<std::int64_t>(value);
  } else {
    attribute.numbers = nb::cast<std::vector<std::int64_t>>(value);
  }
  return attribute;
}

// A buffer, None for an input left out, or packed codes: (type, (N, K), bytes).
Tensor operand_of(nb::handle object) {
  if (object.is_none()) return {};
  if (!nb::isinstance<nb::tuple>(object)) return tensor_of(object);
  const auto [name, shape, bytes] =
      nb::cast<std::tuple<std::string, std::pair<std::int64_t, std::int64_t>, ByteVector>>(object);
  const Codec* codec = find_codec(dtype_named(name));
  const auto [n, k] = shape;
  if (codec == nullptr || n < 0 || k < 0 || static_cast<std::int64_t>(bytes.size()) != codec->num_bytes(n, k))
    throw Error(ErrorKind::kInput, "packed codes " + name + " have another size than their shape asks for");
  return {codec->dtype, {n, k}, bytes.data(), nullptr};
}

nb::list run_alone(const std::string& op, nb::sequence inputs, nb::dict attributes, const std::string& isa,
                   int threads, int outputs, bool in_place) {
  OperatorCall call{op, {}, {}, outputs, in_place};
  for (nb::handle input : inputs) call.inputs.push_back(operand_of(input));
  for (auto [name, value] : attributes) call.attributes.push_back(attribute_of(name, value));
  std::vector<Tensor> results;
  {
    nb::gil_scoped_release no_gil;
    results = run_operator(call, find_kernels(isa), threads);
  }
  nb::list list;
  for (const Tensor& result : results) list.append(copy_of(result));
  return list;
}

}  // namespace

void bind_graph(nb::module_& parent) {
  parent.def("run", run_alone, nb::arg("operator"), nb::arg("inputs"), nb::arg("attributes") = nb::dict(),
             nb::arg("isa") = "", nb::arg("threads") = 1, nb::arg("outputs") = 1, nb::arg("in_place") = false,
             "Plans and runs one operator as a graph would: buffers, None or (\"packed4\", (N, K), bytes) -> "
             "outputs as (type, shape, bytes). RuntimeError if it writes beside its outputs.");
  nb::module_ m = parent.def_submodule("graph", "Model files, sessions and states.");
  bind_model(m);
  bind_state(m);
  bind_session(m);
  m.def("operators", [] {
    std::vector<std::string> names;
    for (const OpDefinition* op : all_operators()) names.emplace_back(op->name);
    return names;
  });
}

}  // namespace halfbyte::python
