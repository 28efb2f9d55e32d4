// The memory of one stream between two steps of a streaming graph.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/model.h"
#include "graph/tensor.h"

namespace halfbyte {

class State {
 public:
  // The initial state of a graph. `left_context_steps` >= 0 sets the length of every axis that the
  // graph leaves open in its states (other than the batch axis, which is 1): initial values are cut
  // to that prefix or extended by zeros. -1 keeps the length that the file has.
  // Throws kUsage if the graph has no such axis and another length is asked for.
  State(std::shared_ptr<const Model> model, const std::string& graph_name,
        std::int64_t left_context_steps = -1);

  // Independent states with the same contents. (A vector that moves keeps its address, so that the
  // default moves keep `tensors_` pointing into `bytes_`.)
  State(const State& other);
  State& operator=(const State& other);
  State(State&&) noexcept = default;
  State& operator=(State&&) noexcept = default;
  State copy() const { return *this; }

  void reset();  // back to the initial values

  // Everything needed to go on later, also in another process with the same model file.
  std::vector<std::uint8_t> save() const;
  // Takes over what save() gave. Throws kInput if the bytes belong to another model file or graph or are
  // damaged.
  void restore(const std::uint8_t* bytes, std::size_t num_bytes);

  std::size_t num_tensors() const { return tensors_.size(); }
  // In the order of Graph::states(); the data lies in this object.
  const Tensor& tensor(std::size_t index) const { return tensors_[index]; }
  const std::string& name(std::size_t index) const;
  std::int64_t left_context_steps() const { return left_context_steps_; }
  const Graph& graph() const { return *graph_; }
  std::size_t num_bytes() const { return bytes_.size() * sizeof(std::uint64_t); }

 private:
  friend class Session;
  void* mutable_data(std::size_t index);
  // Takes the tensors in `bytes`, laid out as here, and leaves its own there.
  void exchange(std::vector<std::uint64_t>& bytes);

  std::shared_ptr<const Model> model_;
  const Graph* graph_;
  std::int64_t left_context_steps_ = -1;
  std::vector<Tensor> tensors_;
  std::vector<std::size_t> offsets_bytes_;
  std::vector<std::uint64_t> bytes_;  // one block for all tensors
};

}  // namespace halfbyte
