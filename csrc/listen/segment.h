// A stretch of a stream from one endpoint to the next, as the pipeline of a family hears it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph_runner.h"
#include "listen/endpointer.h"
#include "listen/events.h"

namespace halfbyte {

class Segment {
 public:
  virtual ~Segment() = default;

  // Whether digital silence before its first sound is cut off, and room put where audio is missing.
  virtual bool wants_room() const = 0;
  // The next chunk: a window (T, F) of feature frames, which repeats the overlap with the one before. Appends
  // what it changes; `start_ms` is where the segment starts. Returns whether the segment should end.
  virtual Ending accept(const FloatRows& window, int64_t start_ms, std::vector<Event>* events) = 0;
  // Encoder steps so far.
  virtual int64_t num_steps() const = 0;
  // Ends the segment after its first `num_steps` steps and appends what it says at last; returns the one that
  // follows. This one is then used up.
  virtual std::unique_ptr<Segment> end(EndReason reason, int64_t num_steps, int64_t start_ms,
                                       std::vector<Event>* events) = 0;

  // Byte strings, and back, into a new segment of equal options: throws kUsage where they do not fit each
  // other, kInput where a part is damaged. All states of all graphs are among them.
  virtual std::vector<std::string> save() const = 0;
  virtual void restore(const std::vector<std::string>& saved) = 0;
};

}  // namespace halfbyte
