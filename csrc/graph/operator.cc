#include "graph/operator.h"

#include <algorithm>
#include <map>

#include "graph/codec.h"

namespace halfbyte {
namespace {

struct Slot {
  char letter;
  bool is_optional;
  bool is_repeated;
};

std::vector<Slot> parse(const std::string& letters) {
  std::vector<Slot> slots;
  for (char c : letters) {
    if (c == '?')
      slots.back().is_optional = true;
    else if (c == '*')
      slots.back().is_repeated = true;
    else
      slots.push_back({c, false, false});
  }
  return slots;
}

// Whether `dtype` fits the letter; binds the type variable at its first use.
bool fits(char letter, DType dtype, DType& variable) {
  switch (letter) {
    case 'f':
      return dtype == DType::kFloat32;
    case 'i':
      return dtype == DType::kInt64;
    case 'b':
      return dtype == DType::kBool;
    case 'p':
      return find_codec(dtype) != nullptr;
    case 'c':
      return dtype == DType::kInt8;
    case 's':
      return dtype == DType::kInt16;
    case 'w':
      return dtype == DType::kInt32;
    default:
      break;
  }
  const bool is_numeric = dtype == DType::kFloat32 || dtype == DType::kInt64;
  const bool is_small = dtype == DType::kInt8 || dtype == DType::kInt16 || dtype == DType::kInt32;
  const bool is_flag = dtype == DType::kBool && letter != 'N';
  if (!is_numeric && !is_flag && !(is_small && letter == 'A')) return false;
  if (variable == DType::kNone) variable = dtype;
  return variable == dtype;
}

DType result(char letter, DType variable, std::int64_t to) {
  switch (letter) {
    case 'f':
      return DType::kFloat32;
    case 'i':
      return DType::kInt64;
    case 'b':
      return DType::kBool;
    case 'c':
      return DType::kInt8;
    case 's':
      return DType::kInt16;
    case 'w':
      return DType::kInt32;
    case '@':
      return to >= 1 && to <= 3 ? static_cast<DType>(to) : DType::kNone;
    default:
      return variable;
  }
}

}  // namespace

const OpDefinition* find_op(const std::string& name) {
  static const std::map<std::string, const OpDefinition*> by_name = [] {
    std::map<std::string, const OpDefinition*> map;
    for (const OpDefinition* op : all_operators()) map.emplace(op->name, op);
    return map;
  }();
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

DType output_type(const OpDefinition& op, const std::vector<DType>& inputs, int num_outputs,
                  const std::vector<Attribute>& attributes, std::string& problem) {
  const std::string signature = op.signature;
  const std::size_t arrow = signature.find('>');
  const std::vector<Slot> slots = parse(signature.substr(0, arrow));
  const std::vector<Slot> outputs = parse(signature.substr(arrow + 1));
  const bool is_repeated = !slots.empty() && slots.back().is_repeated;
  DType variable = DType::kNone;
  for (std::size_t i = 0; i < std::max(inputs.size(), slots.size()); ++i) {
    if (i >= slots.size() && !is_repeated) {
      problem = std::string(op.name) + " has too many inputs";
      return DType::kNone;
    }
    const Slot& slot = i < slots.size() ? slots[i] : slots.back();
    const DType dtype = i < inputs.size() ? inputs[i] : DType::kNone;
    if (dtype == DType::kNone ? slot.is_optional : fits(slot.letter, dtype, variable)) continue;
    problem =
        std::string(op.name) + " does not take " + dtype_name(dtype) + " as its input " + std::to_string(i);
    return DType::kNone;
  }
  if (num_outputs != 1 && !(outputs.back().is_repeated && num_outputs > 0)) {
    problem = std::string(op.name) + " has " + std::to_string(num_outputs) + " outputs";
    return DType::kNone;
  }
  std::int64_t to = 0;
  for (const Attribute& attribute : attributes)
    if (attribute.name == "to" && attribute.type == Attribute::Type::kInt) to = attribute.number;
  const DType dtype = result(outputs.back().letter, variable, to);
  if (dtype == DType::kNone) problem = std::string(op.name) + " has an unknown output type";
  return dtype;
}

}  // namespace halfbyte
