#include "graph/node_planner.h"

#include <algorithm>

#include "error.h"
#include "graph/operator.h"

namespace halfbyte {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 28;  // of a tensor made while running

}  // namespace

NodePlanner::NodePlanner(const Graph& graph, const Node& node, const std::vector<PlannedValue>& values,
                         const Kernels& kernels, int num_threads)
    : graph_(graph),
      node_(node),
      values_(values),
      kernels_(kernels),
      num_threads_(num_threads),
      outputs_(node.outputs.size()) {
  for (Output& output : outputs_) output.value.dtype = output_dtype();
}

bool NodePlanner::has(int input) const {
  return input < num_inputs() && node_.inputs[input] != Node::kAbsent;
}

const PlannedValue& NodePlanner::value(int input) const { return values_[node_.inputs[input]]; }

DType NodePlanner::output_dtype() const { return graph_.values()[node_.outputs[0]].dtype; }

std::vector<std::int64_t> NodePlanner::known_numbers(int input) const {
  const PlannedValue& known = value(input);
  if (known.known == nullptr) fail("input " + std::to_string(input) + " decides a shape but depends on data");
  const auto* numbers = static_cast<const std::int64_t*>(known.known);
  return {numbers, numbers + known.shape.num_elements()};
}

std::int64_t NodePlanner::known_number(int input) const {
  const std::vector<std::int64_t> numbers = known_numbers(input);
  if (numbers.size() != 1) fail("input " + std::to_string(input) + " must be one number");
  return numbers[0];
}

const Attribute* NodePlanner::find(const char* name, Attribute::Type type) const {
  for (const Attribute& attribute : node_.attributes)
    if (attribute.name == name) {
      if (attribute.type != type) fail(std::string("attribute ") + name + " has another type");
      return &attribute;
    }
  return nullptr;
}

std::int64_t NodePlanner::attribute(const char* name) const {
  const Attribute* found = find(name, Attribute::Type::kInt);
  if (found == nullptr) fail(std::string("attribute ") + name + " is missing");
  return found->number;
}

std::int64_t NodePlanner::attribute(const char* name, std::int64_t otherwise) const {
  const Attribute* found = find(name, Attribute::Type::kInt);
  return found == nullptr ? otherwise : found->number;
}

float NodePlanner::real_attribute(const char* name, float otherwise) const {
  const Attribute* found = find(name, Attribute::Type::kFloat);
  return found == nullptr ? otherwise : found->real;
}

const std::vector<std::int64_t>* NodePlanner::numbers_attribute(const char* name) const {
  const Attribute* found = find(name, Attribute::Type::kInts);
  return found == nullptr ? nullptr : &found->numbers;
}

std::string NodePlanner::text_attribute(const char* name, const char* otherwise) const {
  const Attribute* found = find(name, Attribute::Type::kText);
  return found == nullptr ? otherwise : found->text;
}

int NodePlanner::axis(std::int64_t axis, int rank) const {
  if (axis < -rank || axis >= rank)
    fail("axis " + std::to_string(axis) + " is out of range for " + std::to_string(rank) + " axes");
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

void NodePlanner::set_output(int output, const Shape& shape) {
  std::int64_t elements = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] < 0 || shape[i] > kMaxElements / elements)
      fail("its output would have the impossible shape " + shape.to_string());
    elements *= std::max<std::int64_t>(shape[i], 1);
  }
  outputs_[output].value.shape = shape;
}

void NodePlanner::set_view(int output, int input, const Shape& shape, std::size_t offset_bytes) {
  set_output(output, shape);
  outputs_[output].view_of = input;
  outputs_[output].view_offset_bytes = offset_bytes;
}

void NodePlanner::set_known(int output, const std::vector<std::int64_t>& numbers, const Shape& shape) {
  set_output(output, shape);
  auto data = std::make_shared<std::vector<std::int64_t>>(numbers);
  if (data->empty()) data->push_back(0);  // so that data() is never null
  outputs_[output].value.known = data->data();
  outputs_[output].value.owner = data;
}

void NodePlanner::fail(const std::string& problem) const {
  std::string inputs;
  for (int i = 0; i < num_inputs(); ++i)
    if (has(i)) inputs += " " + shape(i).to_string();
  throw Error(ErrorKind::kInput, "graph '" + graph_.name() + "', " + node_.op->name + " that makes '" +
                                     graph_.values()[node_.outputs[0]].name + "' from shapes" + inputs +
                                     ": " + problem + "; check the shapes of the inputs");
}

Shape broadcast_shape(const NodePlanner& node, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape shape;
  for (int i = 0; i < rank; ++i) {
    const int from_end = rank - i;
    const std::int64_t size_a = from_end <= a.rank() ? a[a.rank() - from_end] : 1;
    const std::int64_t size_b = from_end <= b.rank() ? b[b.rank() - from_end] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1) node.fail("the shapes do not broadcast");
    shape.push_back(size_a == 1 ? size_b : size_a);
  }
  return shape;
}

}  // namespace halfbyte
