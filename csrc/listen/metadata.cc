#include "listen/metadata.h"

#include <cmath>
#include <limits>
#include <sstream>

#include "error.h"
#include "graph/names.h"

namespace halfbyte {
namespace {

std::string shown(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

int integer_of(const Json& value, int least, int largest, const std::string& name) {
  const double number = value.number;
  const double limit = std::numeric_limits<int>::max();
  if (value.kind != Json::Kind::kNumber || number != std::floor(number) || std::fabs(number) > limit)
    Metadata::refuse("mistypes '" + name + "', which is a whole number");
  if (number < least || number > largest)
    Metadata::refuse("has " + name + " " + std::to_string(static_cast<int>(number)) + "; expected " +
                     std::to_string(least) + " to " + std::to_string(largest));
  return static_cast<int>(number);
}

double number_of(const Json& value, double least, double largest, const std::string& name) {
  if (value.kind != Json::Kind::kNumber) Metadata::refuse("mistypes '" + name + "', which is a number");
  if (!(value.number >= least && value.number <= largest))
    Metadata::refuse("has " + name + " " + shown(value.number) + "; expected " + shown(least) + " to " +
                     shown(largest));
  return value.number;
}

}  // namespace

void Metadata::refuse(const std::string& problem) {
  throw Error(ErrorKind::kModelFile, "the model's metadata " + problem + "; export the model again");
}

const Json& Metadata::member(const std::string& name, Json::Kind kind) const {
  const Json* found = object_.find(name);
  if (found == nullptr || found->kind != kind) refuse("lacks or mistypes '" + name + "'");
  return *found;
}

int Metadata::integer(int least, int largest, const std::string& name) const {
  return integer_of(member(name, Json::Kind::kNumber), least, largest, name);
}

std::vector<int> Metadata::integers(int least, int largest, const std::string& name) const {
  std::vector<int> values;
  for (const Json& value : member(name, Json::Kind::kArray).array)
    values.push_back(integer_of(value, least, largest, name));
  return values;
}

double Metadata::number(double least, double largest, const std::string& name) const {
  return number_of(member(name, Json::Kind::kNumber), least, largest, name);
}

std::vector<double> Metadata::numbers(double least, double largest, const std::string& name) const {
  std::vector<double> values;
  for (const Json& value : member(name, Json::Kind::kArray).array)
    values.push_back(number_of(value, least, largest, name));
  return values;
}

std::string Metadata::text(const std::string& name) const {
  const std::string& value = member(name, Json::Kind::kString).string;
  if (!is_printable(value)) refuse("has a '" + name + "' that is not printable");
  return value;
}

std::vector<std::string> Metadata::texts(const std::string& name) const {
  std::vector<std::string> values;
  for (const Json& value : member(name, Json::Kind::kArray).array) {
    if (value.kind != Json::Kind::kString) refuse("mistypes '" + name + "', which are strings");
    if (!is_printable(value.string))  // they reach terminals and logs
      refuse("has " + name + " with entry " + std::to_string(values.size()) + ", which is not printable");
    values.push_back(value.string);
  }
  return values;
}

}  // namespace halfbyte
