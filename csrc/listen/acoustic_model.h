// What a stream asks of a model, whoever runs it.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "decode/decoder.h"
#include "listen/settings.h"

namespace halfbyte {

// Rows of numbers that somebody else holds, row-major.
struct FloatRows {
  const float* data;
  std::size_t num_rows;
  std::size_t num_columns;
};

// A chunk of encoder steps.
struct EncodedChunk {
  std::size_t num_steps = 0;     // C
  std::size_t width = 0;         // D
  std::size_t num_tokens = 0;    // V
  std::vector<float> memory;     // (C, D) encoder output
  std::vector<float> log_probs;  // (C, V) of the CTC head
};

// The memory of a model between two chunks of a stream.
class AcousticState {
 public:
  virtual ~AcousticState() = default;
};

// An encoder with a CTC head, step by step, and an attention decoder. May serve several threads at
// once, each with states of its own.
class AcousticModel {
 public:
  virtual ~AcousticModel() = default;

  virtual std::shared_ptr<const ModelSettings> settings() const = 0;
  // State of a stream before its first chunk.
  virtual std::unique_ptr<AcousticState> initial_state() = 0;
  // One chunk: a window (T, F) of frames in, encoder steps out; `state` moves on.
  virtual void encode(const FloatRows& features, AcousticState& state, EncodedChunk* out) = 0;
  // The attention decoder over the encoder output (T, D) of a segment.
  virtual std::unique_ptr<Decoder> decoder(const FloatRows& memory) = 0;

  // The state as bytes, and back; throws kInput for bytes that do not fit.
  virtual std::string save_state(const AcousticState& state) = 0;
  virtual std::unique_ptr<AcousticState> restore_state(const std::string& saved) = 0;
};

}  // namespace halfbyte
