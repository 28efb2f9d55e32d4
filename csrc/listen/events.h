// What a stream says.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "decode/word_graph.h"

namespace halfbyte {

// A word with its place in the stream.
struct Word {
  std::string text;
  int64_t start_ms;  // from the first sample of the stream
  int64_t end_ms;
  double confidence;  // mean posterior of its tokens on their frames, 0 to 1
};

// One of the texts that a pass found.
struct ScoredText {
  std::string text;
  double score;  // of the pass: a logarithm, larger is likelier
};

// Words while they are spoken: a partial result of a segment, which may still change, or the final one.
struct Text {
  std::string text;
  bool is_final;
  int64_t start_ms;                         // of the segment, from the first sample of the stream
  int64_t end_ms;                           // of what has been heard
  std::vector<Word> words = {};             // of a final result
  std::vector<ScoredText> hypotheses = {};  // the n best of its pass, likeliest first; all different
  std::vector<Slot> slots = {};             // of a final result, where a grammar has rules
};

// Something that the model listens for was heard.
struct Detection {
  std::string label;
  int64_t time_ms;  // from the first sample of the stream
  double score;
};

// A speaker has begun or stopped to speak.
struct SpeakerActivity {
  std::string speaker;
  bool is_active;
  int64_t time_ms;  // from the first sample of the stream
  double score;
};

// Why a segment ended.
enum class EndReason { kNone, kSilence, kLength, kFinish };
// "silence", "length", "finish"; "" for kNone.
const char* name_of(EndReason reason);

// A segment has ended; its final result, if it has one, follows.
struct Endpoint {
  EndReason reason;
  int64_t time_ms;  // from the first sample of the stream
};

using Event = std::variant<Text, Detection, SpeakerActivity, Endpoint>;

// Moves what lies in the room around a stream of `end_ms` to its start or its end; a word keeps a step there.
void keep_within(int64_t end_ms, int64_t step_ms, std::vector<Event>* events);

}  // namespace halfbyte
