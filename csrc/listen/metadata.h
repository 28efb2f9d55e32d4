// A JSON object of a model file's metadata, read setting by setting. Whatever is missing, of another type or
// out of range throws kModelFile, in one line that names the setting.
#pragma once
#include <string>
#include <vector>

#include "listen/json.h"

namespace halfbyte {

class Metadata {
 public:
  // `object` must outlive this.
  explicit Metadata(const Json& object) : object_(object) {}

  bool has(const std::string& name) const { return object_.find(name) != nullptr; }
  Metadata object(const std::string& name) const { return Metadata(member(name, Json::Kind::kObject)); }
  int integer(int least, int largest, const std::string& name) const;
  std::vector<int> integers(int least, int largest, const std::string& name) const;
  double number(double least, double largest, const std::string& name) const;
  std::vector<double> numbers(double least, double largest, const std::string& name) const;
  // Strings that are fit for a terminal.
  std::string text(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;

  // Throws: the metadata have this problem.
  [[noreturn]] static void refuse(const std::string& problem);

 private:
  const Json& member(const std::string& name, Json::Kind kind) const;

  const Json& object_;
};

}  // namespace halfbyte
