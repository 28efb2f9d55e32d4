// When a segment ends.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "listen/events.h"
#include "listen/settings.h"

namespace halfbyte {

// Whether a segment ends now, and from which of its steps on a sound that has set in is the next segment's.
struct Ending {
  EndReason reason = EndReason::kNone;
  int64_t num_own_steps = 0;
};

// What an endpointer is told after each chunk.
struct Heard {
  int64_t num_steps;                       // of the segment
  std::optional<int64_t> last_token_step;  // of the last token with text; none before the first
};

class Endpointer {
 public:
  virtual ~Endpointer() = default;
  // The reason to end the segment now, kNone if there is none.
  virtual Ending accept(const Heard& heard) const = 0;
};

// After so many steps, in any case.
class LongestSegment : public Endpointer {
 public:
  LongestSegment(const ModelSettings& settings, const EndpointRule& rule);
  Ending accept(const Heard& heard) const override;

 private:
  int64_t step_ms_, max_ms_;
};

// After so much silence once words were heard.
class SilenceRule : public Endpointer {
 public:
  SilenceRule(const ModelSettings& settings, const EndpointRule& rule)
      : step_ms_(settings.step_ms()), rule_(rule) {}
  Ending accept(const Heard& heard) const override;

 private:
  int64_t step_ms_;
  EndpointRule rule_;
};

// The first of several that has a reason.
using Endpointers = std::vector<std::shared_ptr<const Endpointer>>;
Ending first_ending(const Endpointers& endpointers, const Heard& heard);

}  // namespace halfbyte
