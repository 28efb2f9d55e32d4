// A pipeline: how a family of models hears. It opens the graphs that it needs and joins them with searches,
// passes and endpointers into events. A family `x` gives, in csrc/pipelines/x.cc,
//
//   extern const PipelineDefinition pipeline_x;  // in namespace halfbyte::pipelines
//
// CMake makes the table of all pipelines from the names of these files.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graph/graph_runner.h"
#include "listen/metadata.h"
#include "listen/segment.h"
#include "listen/settings.h"

namespace halfbyte {

// What a pipeline asks of one graph of a model file.
struct GraphNeeds {
  struct Input {
    const char* name;
    DType dtype;
    int num_axes;
  };
  const char* name;
  std::vector<Input> inputs;
  std::vector<const char*> outputs;  // float32 of three axes
};

// The pipeline of one model: immutable, shared by its streams.
class Pipeline {
 public:
  virtual ~Pipeline() = default;
  // The first segment of a stream. `graphs` and `settings` outlive it; the options fit the settings. Throws
  // kUsage for a grammar that is wrong or that the model cannot spell.
  virtual std::unique_ptr<Segment> start(GraphRunner& graphs, const ModelSettings& settings,
                                         const StreamOptions& options) const = 0;
  // Whether streams may be given a grammar.
  virtual bool takes_grammar() const { return false; }
};

struct PipelineDefinition {
  const char* family;  // as metadata name it
  std::vector<GraphNeeds> graphs;
  // Reads what the family keeps in the metadata; throws kModelFile where it is missing or wrong.
  std::shared_ptr<const Pipeline> (*open)(const Metadata& metadata, const ModelSettings& settings);
};

// Every pipeline of this build.
const std::vector<const PipelineDefinition*>& all_pipelines();
// That of a family; throws kModelFile, with the families that this version knows, for another name.
const PipelineDefinition& pipeline_of(const std::string& family);

}  // namespace halfbyte
