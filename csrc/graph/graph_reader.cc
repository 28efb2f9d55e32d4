// Reads a "graph:NAME" section; the layout is in docs/model-file.md.
#include <algorithm>

#include "error.h"
#include "graph/byte_reader.h"
#include "graph/codec.h"
#include "graph/graph.h"
#include "graph/half.h"
#include "graph/operator.h"

namespace halfbyte {
namespace {

constexpr std::uint32_t kAbsentInput = 0xFFFFFFFFu;
constexpr std::int64_t kMaxTensorElements = std::int64_t{1} << 34;
constexpr std::uint64_t kAlignmentBytes = 64;
// How the initial value of a state is stored: not at all, whole (1), or as its last axis.
constexpr std::uint32_t kZeros = 0, kRow = 2;

}  // namespace

class GraphReader {
 public:
  GraphReader(Graph& graph, const Section& section, const Section& weights)
      : graph_(graph), weights_(weights), reader_(section.bytes, section.num_bytes, section.name) {}

  void read() {
    for (std::uint32_t left = reader_.count(4); left > 0; --left) strings_.push_back(reader_.text());
    graph_.values_.resize(reader_.count(4));
    for (std::size_t i = 0; i < graph_.values_.size(); ++i) {
      const std::string& name = string();
      graph_.values_[i].name = name.empty() ? "#" + std::to_string(i) : name;
    }
    written_.resize(graph_.values_.size());
    for (std::uint32_t left = reader_.count(28); left > 0; --left) read_constant();
    for (std::uint32_t left = reader_.count(12); left > 0; --left) read_input();
    const auto outputs = read_outputs();
    for (std::uint32_t left = reader_.count(16); left > 0; --left) read_state();
    for (std::uint32_t left = reader_.count(16); left > 0; --left) read_node();
    for (std::uint32_t value : outputs) {
      check_written(value);
      if (!is_computed(graph_.values_[value].dtype)) reader_.fail("has packed codes as an output");
    }
    reader_.expect_end();
  }

 private:
  const std::string& string() { return strings_[reader_.index(strings_.size())]; }
  std::uint32_t value() { return reader_.index(graph_.values_.size()); }

  // Marks a value as written, once.
  void mark_written(std::uint32_t index, DType dtype) {
    if (written_[index]) reader_.fail("writes value '" + graph_.values_[index].name + "' twice");
    written_[index] = true;
    graph_.values_[index].dtype = dtype;
  }

  void check_written(std::uint32_t index) {
    if (!written_[index])
      reader_.fail("reads value '" + graph_.values_[index].name +
                   "' before it is written (a cycle, or nodes out of order)");
  }

  DType dtype(std::uint32_t last) {
    const std::uint32_t number = reader_.u32();
    if (number < 1 || number > last) reader_.fail("holds an unknown type " + std::to_string(number));
    return static_cast<DType>(number);
  }

  std::uint32_t rank() {
    const std::uint32_t rank = reader_.u32();
    if (rank > Shape::kMaxRank) reader_.fail("holds a tensor of more than 8 axes");
    return rank;
  }

  Shape fixed_shape() {
    Shape shape;
    std::int64_t elements = 1;  // an axis of 0 counts as 1, so that no product can overflow
    for (std::uint32_t left = rank(); left > 0; --left) {
      const std::int64_t size = reader_.i64();
      if (size < 0 || size > kMaxTensorElements / elements)
        reader_.fail("holds a tensor of an impossible size");
      elements *= std::max<std::int64_t>(size, 1);
      shape.push_back(size);
    }
    return shape;
  }

  // A tensor's place in `weights`, which must have exactly the bytes that its shape asks for.
  const std::uint8_t* stored(std::uint64_t expected_bytes) {
    const std::uint64_t offset = reader_.u64();
    const std::uint64_t num_bytes = reader_.u64();
    if (offset % kAlignmentBytes != 0 || offset > weights_.num_bytes ||
        num_bytes > weights_.num_bytes - offset)
      reader_.fail("places a tensor outside of the weights");
    if (num_bytes != expected_bytes) reader_.fail("holds a tensor whose bytes do not fit its shape");
    return weights_.bytes + offset;
  }

  std::uint64_t storage_bytes(DType storage, const Shape& shape) {
    const Codec* codec = find_codec(storage);
    if (codec == nullptr) return static_cast<std::uint64_t>(shape.num_elements()) * dtype_bytes(storage);
    if (shape.rank() != 2) reader_.fail("holds packed codes that are not a matrix");
    return static_cast<std::uint64_t>(codec->num_bytes(shape[0], shape[1]));
  }

  void read_constant() {
    const std::uint32_t index = value();
    const DType type = dtype(kLastDType), storage = dtype(kLastDType);
    if (storage != type && !(type == DType::kFloat32 && storage == DType::kFloat16))
      reader_.fail("stores a constant in a type that it cannot be read as");
    Tensor tensor{type, fixed_shape(), nullptr, nullptr};
    const std::uint64_t num_bytes = storage_bytes(storage, tensor.shape);
    const std::uint8_t* place = stored(num_bytes);
    tensor.data = place;
    if (type != storage) widen(tensor);
    mark_written(index, type);
    graph_.values_[index].constant = static_cast<int>(graph_.constants_.size());
    graph_.constants_.push_back(tensor);
    graph_.stored_.push_back({static_cast<std::uint64_t>(place - weights_.bytes), num_bytes});
  }

  static void widen(Tensor& tensor) {
    const auto count = static_cast<std::size_t>(tensor.shape.num_elements());
    auto wide = std::make_shared<std::vector<float>>(count);
    for (std::size_t i = 0; i < count; ++i) (*wide)[i] = float_from_half(tensor.as<std::uint16_t>()[i]);
    tensor.data = wide->data();
    tensor.owner = wide;
  }

  void read_input() {
    GraphInput input;
    const std::uint32_t index = value();
    input.dtype = dtype(kLastDType);
    if (!is_computed(input.dtype)) reader_.fail("has packed codes as an input");
    mark_written(index, input.dtype);
    for (std::uint32_t left = rank(); left > 0; --left) {
      const std::int64_t size = reader_.i64();
      const auto name = static_cast<std::uint64_t>(-(size + 1));
      if (size > kMaxTensorElements || (size < 0 && name >= strings_.size()))
        reader_.fail("holds an input axis of an impossible size");
      input.shape.push_back(size < 0 ? GraphInput::kOpen : size);
      input.axes.push_back(size < 0 ? strings_[name] : "");
    }
    input.value = static_cast<int>(index);
    input.name = graph_.values_[index].name;
    if (graph_.find_input(input.name) >= 0) reader_.fail("has two inputs of one name");
    graph_.values_[index].input = static_cast<int>(graph_.inputs_.size());
    graph_.inputs_.push_back(std::move(input));
  }

  std::vector<std::uint32_t> read_outputs() {
    std::vector<std::uint32_t> values;
    for (std::uint32_t left = reader_.count(8); left > 0; --left) {
      values.push_back(value());
      const std::string& name = string();
      if (graph_.find_output(name) >= 0) reader_.fail("has two outputs of one name");
      graph_.outputs_.push_back({static_cast<int>(values.back()), name});
    }
    return values;
  }

  void read_state() {
    GraphState state;
    state.input = static_cast<int>(reader_.index(graph_.inputs_.size()));
    state.output = static_cast<int>(reader_.index(graph_.outputs_.size()));
    state.initial_shape = fixed_shape();
    const std::uint32_t form = reader_.index(3);
    state.is_row = form == kRow;
    GraphInput& input = graph_.inputs_[state.input];
    if (state.is_row && state.initial_shape.rank() == 0)
      reader_.fail("has a state without axes that repeats a row");
    const Shape stored_shape =
        state.is_row ? Shape{state.initial_shape[state.initial_shape.rank() - 1]} : state.initial_shape;
    state.initial = form == kZeros ? nullptr : stored(storage_bytes(input.dtype, stored_shape));
    if (input.state >= 0) reader_.fail("has two states of one input");
    if (input.shape.rank() != state.initial_shape.rank())
      reader_.fail("has a state whose initial value does not fit its input");
    for (int axis = 0; axis < input.shape.rank(); ++axis)
      if (input.shape[axis] != GraphInput::kOpen && input.shape[axis] != state.initial_shape[axis])
        reader_.fail("has a state whose initial value does not fit its input");
    input.state = static_cast<int>(graph_.states_.size());
    graph_.states_.push_back(state);
  }

  void read_node() {
    const std::string& name = string();
    Node node;
    node.op = find_op(name);
    if (node.op == nullptr)
      reader_.fail("asks for operator '" + name + "', which this version does not have");
    for (std::uint32_t left = reader_.count(4); left > 0; --left) node.inputs.push_back(node_input());
    std::vector<std::uint32_t> outputs;
    for (std::uint32_t left = reader_.count(4); left > 0; --left) outputs.push_back(value());
    for (std::uint32_t left = reader_.count(12); left > 0; --left)
      node.attributes.push_back(read_attribute());
    const DType type = infer_type(node, static_cast<int>(outputs.size()));
    for (std::uint32_t index : outputs) {
      mark_written(index, type);
      node.outputs.push_back(static_cast<int>(index));
    }
    graph_.nodes_.push_back(std::move(node));
  }

  int node_input() {
    const std::uint32_t index = reader_.u32();
    if (index == kAbsentInput) return Node::kAbsent;
    if (index >= graph_.values_.size()) reader_.fail("holds an index out of range");
    check_written(index);
    return static_cast<int>(index);
  }

  Attribute read_attribute() {
    Attribute attribute;
    attribute.name = string();
    attribute.type = static_cast<Attribute::Type>(reader_.u32());
    switch (attribute.type) {
      case Attribute::Type::kInt:
        attribute.number = reader_.i64();
        break;
      case Attribute::Type::kFloat:
        attribute.real = reader_.f32();
        break;
      case Attribute::Type::kInts:
        for (std::uint32_t left = reader_.count(8); left > 0; --left)
          attribute.numbers.push_back(reader_.i64());
        break;
      case Attribute::Type::kText:
        attribute.text = string();
        break;
      default:
        reader_.fail("holds an attribute of an unknown type");
    }
    return attribute;
  }

  DType infer_type(const Node& node, int num_outputs) {
    std::vector<DType> types;
    for (int input : node.inputs)
      types.push_back(input == Node::kAbsent ? DType::kNone : graph_.values_[input].dtype);
    std::string problem;
    const DType type = output_type(*node.op, types, num_outputs, node.attributes, problem);
    if (type == DType::kNone) reader_.fail("is ill-typed: " + problem);
    return type;
  }

  Graph& graph_;
  const Section& weights_;
  ByteReader reader_;
  std::vector<std::string> strings_;
  std::vector<bool> written_;
};

Graph::Graph(const Section& section, const Section& weights) : name_(section.name.substr(6)) {
  GraphReader(*this, section, weights).read();
}

}  // namespace halfbyte
