// The one exception of the engine. Python sees halfbyte.HalfbyteError's child that `kind` names.
#pragma once
#include <stdexcept>
#include <string>

namespace halfbyte {

enum class ErrorKind {
  kAudio,      // audio that cannot be read
  kModelFile,  // a .hb file that is damaged, of another version, or of a shape we cannot run
  kInput,      // a value that an operator refuses: a wrong shape, NaN or infinity
  kUsage,      // a setting out of its range
};

// `what()` says what came, what was expected and what to do, in one line.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace halfbyte
