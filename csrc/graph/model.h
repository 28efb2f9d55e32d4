// An open model file: immutable, shared by any number of sessions and threads.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "graph/graph.h"
#include "graph/model_file.h"

namespace halfbyte {

class Model {
 public:
  // Maps the file, checks all of it and reads its graphs. Throws kModelFile.
  static std::shared_ptr<const Model> open(const std::string& path);

  const ModelFile& file() const { return *file_; }
  const std::map<std::string, Graph>& graphs() const { return graphs_; }
  // Throws kUsage, naming the graphs that exist.
  const Graph& graph(const std::string& name) const;

 private:
  Model() = default;
  std::unique_ptr<ModelFile> file_;
  std::map<std::string, Graph> graphs_;
};

}  // namespace halfbyte
