// JSON (RFC 8259), as far as the metadata of a model file needs it.
#pragma once
#include <map>
#include <string>
#include <vector>

namespace halfbyte {

struct Json {
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  double number = 0;   // of kNumber; 0 or 1 for kBool
  std::string string;  // UTF-8
  std::vector<Json> array;
  std::map<std::string, Json> object;  // of equal names, the last one's value

  // Throws kModelFile, naming the place, for text that is no JSON or nests deeper than 64 levels.
  static Json parse(const std::string& text);

  // The member of that name; nullptr where there is none or this is no object.
  const Json* find(const std::string& name) const;
};

}  // namespace halfbyte
