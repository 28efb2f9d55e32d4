// A segment of speech with a CTC head: first pass, second pass, alignment, silence and endpoints.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "decode/ctc_align.h"
#include "decode/first_pass.h"
#include "decode/grammar.h"
#include "decode/second_pass.h"
#include "listen/segment.h"

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
  std::shared_ptr<const Grammar> grammar = {};  // of the first pass; none: anything may be said
};

// Gathers encoder output and log-probabilities until the segment ends; at full context, features too, which
// are then encoded once more as a whole, every step seeing every other.
//
// Words' times: a CTC head that sees a word from the first step of a segment on may say it there, wherever
// the word is (operator, spoken at 0.57 s, at 0.0 s); it does so in the first chunk only. And it may say a
// word late, in the pause that follows. So times come from the pass in chunks, at full context too; where a
// token lies in a first chunk of more than 320 ms, that chunk is encoded once more in pieces of 320 ms; and
// no token lies in a pause (pauses.h).
class SpeechSegment : public Segment {
 public:
  SpeechSegment(std::shared_ptr<const SpeechParts> parts, std::unique_ptr<FirstPass> first_pass);

  bool wants_room() const override { return true; }
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
  void keep_features(const FloatRows& window);
  std::string partial_text() const;
  std::optional<int64_t> last_token_step() const;
  void truncate(int64_t num_steps);
  void encode_whole();
  std::vector<Hypothesis> finalize() const;
  void keep_words(std::vector<Hypothesis>* ranked) const;
  std::vector<ScoredText> texts_of(const std::vector<Hypothesis>& ranked) const;
  std::vector<AlignedToken> placed(const Hypothesis& found) const;
  std::vector<AlignedToken> aligned(const std::vector<float>& log_probs, const Hypothesis& found) const;
  std::vector<Word> words_of_best(const Hypothesis& best, int64_t start_ms);
  int64_t first_chunk_steps() const;
  std::size_t num_kept_frames() const;
  void encode_first_chunk_in_pieces();
  bool knows_tokens(const std::vector<Hypothesis>& hypotheses) const;
  bool is_consistent() const;
  int64_t end_ms(int64_t start_ms) const { return start_ms + num_steps() * parts_->settings->step_ms(); }

  std::shared_ptr<const SpeechParts> parts_;
  std::unique_ptr<FirstPass> first_pass_;
  std::unique_ptr<RunState> state_;
  EncodedChunk chunk_;  // the last one
  std::vector<float>
      features_;  // (frames, F), for a second encoding: of the first chunk, at full context of all
  std::vector<float> levels_;     // (T,) of the steps
  std::vector<float> memory_;     // (T, D) encoder output
  std::vector<float> log_probs_;  // (T, V) of the pass in chunks
  std::string text_;              // of the last partial result
};

}  // namespace halfbyte
