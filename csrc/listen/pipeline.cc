#include "listen/pipeline.h"

#include "error.h"

namespace halfbyte {

const PipelineDefinition& pipeline_of(const std::string& family) {
  std::string names;
  for (const PipelineDefinition* pipeline : all_pipelines()) {
    if (pipeline->family == family) return *pipeline;
    names += (names.empty() ? "" : ", ") + std::string(pipeline->family);
  }
  throw Error(ErrorKind::kModelFile, "the model is of the family '" + family +
                                         "', which this version does not know; it knows " + names);
}

}  // namespace halfbyte
