#include "graph/model.h"

#include "error.h"

namespace halfbyte {
namespace {

const Section& required(const ModelFile& file, const std::string& name) {
  const Section* section = file.find(name);
  if (section == nullptr)
    throw Error(ErrorKind::kModelFile, file.path() + ": has no section '" + name + "'; compile it again");
  return *section;
}

}  // namespace

std::shared_ptr<const Model> Model::open(const std::string& path) {
  std::shared_ptr<Model> model(new Model);
  model->file_ = std::make_unique<ModelFile>(path);
  required(*model->file_, "meta");
  const Section& weights = required(*model->file_, "weights");
  for (const Section& section : model->file_->sections()) {
    if (section.name.rfind("graph:", 0) != 0) continue;
    try {
      model->graphs_.emplace(section.name.substr(6), Graph(section, weights));
    } catch (const Error& error) {
      throw Error(ErrorKind::kModelFile, path + ": " + error.what());
    }
  }
  if (model->graphs_.empty()) throw Error(ErrorKind::kModelFile, path + ": has no graph; compile it again");
  return model;
}

const Graph& Model::graph(const std::string& name) const {
  const auto found = graphs_.find(name);
  if (found != graphs_.end()) return found->second;
  std::string names;
  for (const auto& [known, graph] : graphs_) names += (names.empty() ? "" : ", ") + known;
  throw Error(ErrorKind::kUsage, file_->path() + ": has no graph '" + name + "'; it has " + names);
}

}  // namespace halfbyte
