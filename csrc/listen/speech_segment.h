// A segment of speech with a CTC head: first pass, second pass, alignment, silence and endpoints.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "decode/first_pass.h"
#include "decode/second_pass.h"
#include "listen/segment.h"
#include "listen/silence.h"

namespace halfbyte {

// What a pipeline joins; shared by the segments of a stream.
struct SpeechParts {
  GraphRunner* graphs;
  const ModelSettings* settings;
  StreamOptions options;
  const char* encoder;                     // graph: `features` (1, T, F) and states in
  const char* memory;                      // its outputs: (1, C, D)
  const char* log_probs;                   // and (1, C, V), of the CTC head
  const std::vector<std::string>* tokens;  // V, UTF-8
  int blank_id;
  std::size_t num_candidates;                     // hypotheses of the first pass for the second
  std::shared_ptr<const SecondPass> second_pass;  // none: the first pass's are final
  Endpointers endpointers;
};

// Gathers encoder output and log-probabilities until the segment ends; at full context, features too, which
// are then encoded once more as a whole, every step seeing every other.
class SpeechSegment : public Segment {
 public:
  SpeechSegment(std::shared_ptr<const SpeechParts> parts, std::unique_ptr<FirstPass> first_pass);

  bool may_skip(const FloatRows& window) const override { return is_silence(window); }
  // Throws kModelFile where the model gives other numbers of steps or tokens than its metadata promise,
  // kInput for log-probabilities that are none.
  Ending accept(const FloatRows& window, int64_t start_ms, std::vector<Event>* events) override;
  int64_t num_steps() const override { return first_pass_->num_steps(); }
  std::unique_ptr<Segment> end(EndReason reason, int64_t num_steps, int64_t start_ms,
                               std::vector<Event>* events) override;
  std::vector<std::string> save() const override;
  void restore(const std::vector<std::string>& saved) override;

 private:
  void encode(const FloatRows& window, RunState* state);
  void take_chunk();
  void keep_features(const FloatRows& window);
  std::string partial_text() const;
  std::optional<int64_t> last_token_step() const;
  void truncate(int64_t num_steps);
  void encode_whole();
  std::vector<Hypothesis> finalize() const;
  std::vector<ScoredText> texts_of(const std::vector<Hypothesis>& ranked) const;
  std::vector<Word> words_of_best(const Hypothesis& best, int64_t start_ms) const;
  bool knows_tokens(const std::vector<Hypothesis>& hypotheses) const;
  bool is_consistent() const;
  int64_t end_ms(int64_t start_ms) const { return start_ms + num_steps() * parts_->settings->step_ms(); }

  std::shared_ptr<const SpeechParts> parts_;
  std::unique_ptr<FirstPass> first_pass_;
  SilenceMask silence_;
  std::unique_ptr<RunState> state_;
  EncodedChunk chunk_;            // the last one
  std::vector<float> features_;   // (frames, F), for a second encoding
  std::vector<float> memory_;     // (T, D) encoder output
  std::vector<float> log_probs_;  // (T, V)
  std::string text_;              // of the last partial result
};

}  // namespace halfbyte
