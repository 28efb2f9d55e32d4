// What a stream says: words while they are spoken, then the segment's final text.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace halfbyte {

// A word with its place in the stream.
struct Word {
  std::string text;
  int64_t start_ms;  // from the first sample of the stream
  int64_t end_ms;
  double confidence;  // mean posterior of its tokens on their frames, 0 to 1
};

// Why a segment ended.
enum class EndReason { kNone, kSilence, kLength, kFinish };

// A partial result, which may still change, or the final one of a segment.
struct Event {
  std::string text;
  bool is_final;
  int64_t start_ms;                            // of the segment, from the first sample of the stream
  int64_t end_ms;                              // of what has been heard
  std::vector<Word> words = {};                // of a final result
  std::vector<std::string> alternatives = {};  // of a final result: other texts, likeliest first
  EndReason reason = EndReason::kNone;         // of a final result
};

}  // namespace halfbyte
