#include "decode/cached_decoder.h"

#include <algorithm>
#include <utility>

namespace halfbyte {
namespace {

constexpr std::size_t kLogProbs = 0, kCache = 1, kMemory = 2;  // of answer_

void check_shape(const GraphOutputValues& answer, std::size_t axis, std::size_t expected) {
  if (answer.size(static_cast<int>(axis)) == expected) return;
  throw Error(ErrorKind::kModelFile, std::string("the decoder's ") + answer.name + " is " +
                                         answer.shape.to_string() + "; expected " + std::to_string(expected) +
                                         " on axis " + std::to_string(axis) + "; export the model again");
}

Tensor as_tensor(const std::vector<float>& values, std::size_t rows, std::size_t columns, std::size_t width) {
  return {
      DType::kFloat32,
      {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), static_cast<std::int64_t>(width)},
      values.data(),
      nullptr};
}

}  // namespace

NextTokenLogProbs CachedDecoder::run(const TokenRows& tokens) {
  if (tokens.num_columns == 1)
    begin(tokens);
  else
    step(tokens);
  seen_ = tokens;
  const GraphOutputValues& said = answer_[kLogProbs];
  check_shape(said, 0, tokens.num_rows);
  check_shape(said, 1, 1);
  return {said.values.data(), 1, said.size(2), tokens.num_columns - 1};
}

void CachedDecoder::begin(const TokenRows& tokens) {
  const Tensor ids{DType::kInt64, {1, 1}, tokens.ids.data(), nullptr};
  answer_.resize(kMemory);
  answer_.push_back({"memory_cache"});
  graphs_.run(begin_, {{"tokens", ids}, {"memory", memory_.tensor()}}, nullptr, &answer_);
  check_shape(answer_[kCache], 0, 1);
  cache_ = answer_[kCache].values;
  memory_cache_ = std::move(answer_[kMemory]);
  answer_.pop_back();
}

// The rows' parents' caches, a token more, and the caches of what they became.
void CachedDecoder::step(const TokenRows& tokens) {
  const std::size_t width = memory_cache_.size(2);
  const std::size_t row_floats = cache_.size() / std::max<std::size_t>(1, seen_.num_rows);
  std::vector<int64_t> last;
  next_.clear();
  for (std::size_t n = 0; n < tokens.num_rows; ++n) {
    const int64_t* row = tokens.ids.data() + n * tokens.num_columns;
    const auto from = cache_.begin() + static_cast<std::ptrdiff_t>(parent_of(row) * row_floats);
    next_.insert(next_.end(), from, from + static_cast<std::ptrdiff_t>(row_floats));
    last.push_back(row[tokens.num_columns - 1]);
  }
  const Tensor ids{DType::kInt64, {static_cast<std::int64_t>(tokens.num_rows), 1}, last.data(), nullptr};
  const Tensor cache = as_tensor(next_, tokens.num_rows, row_floats / width, width);
  const Tensor memory = as_tensor(memory_cache_.values, 1, memory_cache_.size(1), width);
  graphs_.run(step_, {{"tokens", ids}, {"cache", cache}, {"memory_cache", memory}}, nullptr, &answer_);
  const GraphOutputValues& added = answer_[kCache];
  check_shape(added, 0, tokens.num_rows);
  check_shape(added, 1, 1);
  check_shape(added, 2, width);
  cache_.clear();
  for (std::size_t n = 0; n < tokens.num_rows; ++n) {
    const auto old = next_.begin() + static_cast<std::ptrdiff_t>(n * row_floats);
    const auto fresh = added.values.begin() + static_cast<std::ptrdiff_t>(n * width);
    cache_.insert(cache_.end(), old, old + static_cast<std::ptrdiff_t>(row_floats));
    cache_.insert(cache_.end(), fresh, fresh + static_cast<std::ptrdiff_t>(width));
  }
}

// Which row of the call before a row goes on from.
std::size_t CachedDecoder::parent_of(const int64_t* row) const {
  for (std::size_t n = 0; n < seen_.num_rows; ++n) {
    const int64_t* other = seen_.ids.data() + n * seen_.num_columns;
    if (std::equal(other, other + seen_.num_columns, row)) return n;
  }
  throw Error(ErrorKind::kUsage, "a decoder that goes on token by token was asked for a row it has not seen");
}

}  // namespace halfbyte
