// What a stream asks of a model, whoever runs it.
#pragma once
#include <memory>

#include "graph/graph_runner.h"
#include "listen/settings.h"

namespace halfbyte {

// The graphs of a model of any family, with its settings.
class AcousticModel : public GraphRunner {
 public:
  virtual std::shared_ptr<const ModelSettings> settings() const = 0;
};

}  // namespace halfbyte
