// The running segment of a stream: its first pass, what it must remember, its final result.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "decode/ctc_greedy.h"
#include "decode/ctc_prefix_beam.h"
#include "listen/acoustic_model.h"
#include "listen/events.h"
#include "listen/words.h"

namespace halfbyte {

// Gathers encoder output and log-probabilities until the segment ends. Until its first sound, a segment
// says nothing, whatever the model makes of digital silence.
class Segment {
 public:
  // keeps_features: the segment is encoded once more as a whole at its end.
  Segment(std::shared_ptr<const ModelSettings> settings, Mode mode, bool keeps_features);

  // Takes in a chunk: its feature window and what the model made of it (in whose log-probabilities
  // silent steps become blank). Throws kModelFile where the
  // model has another number of tokens than its metadata, kInput for log-probabilities that are none.
  void accept(const FloatRows& window, EncodedChunk* chunk);

  int64_t num_steps() const { return num_steps_; }
  // Text of the best first-pass hypothesis.
  const std::string& text() const { return text_; }
  // Step of the last token with text of that hypothesis; none before the first. (A lone start of a word
  // does not count: models say it early, in silence.)
  std::optional<int64_t> last_token_step() const;

  // Gives the steps after the first `num_steps` up; hypotheses with a token there do not count.
  // The best one must have its last text before.
  void truncate(int64_t num_steps);
  // Encodes the segment once more, every step seeing every other, and searches again.
  void encode_whole(AcousticModel& model);
  // Tokens of the final hypotheses, likeliest first; at least one.
  std::vector<std::vector<int>> finalize(AcousticModel& model) const;
  // Tokens on the steps of their best CTC path.
  std::vector<AlignedToken> timed(const std::vector<int>& tokens) const;

  // Byte strings, and back, into a new segment of equal arguments: throws kUsage where they do not fit
  // each other, kInput where the search's part is damaged.
  std::vector<std::string> save() const;
  void restore(const std::vector<std::string>& saved);

 private:
  using Search = std::variant<CtcGreedy, CtcPrefixBeam>;

  static Search new_search(const ModelSettings& settings, Mode mode);
  void take(EncodedChunk* chunk);
  void keep_features(const FloatRows& window);
  void update_best();
  bool is_consistent() const;
  std::vector<CtcHypothesis> hypotheses() const;
  std::vector<std::vector<int>> searched() const;
  std::vector<std::vector<int>> rescored(Decoder& decoder) const;
  std::vector<std::vector<int>> attended(Decoder& decoder) const;
  void check_known(int token) const;

  std::shared_ptr<const ModelSettings> settings_;
  Mode mode_;
  bool keeps_features_;
  int64_t num_steps_ = 0;
  int64_t num_silent_steps_ = 0;  // before the first sound
  std::vector<float> features_;   // (frames, F), for a second encoding
  std::vector<float> memory_;     // (T, D) encoder output
  std::vector<float> log_probs_;  // (T, V)
  Search search_;
  std::vector<int> best_tokens_;
  std::vector<int64_t> best_frames_;
  std::string text_;
};

}  // namespace halfbyte
