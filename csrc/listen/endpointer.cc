#include "listen/endpointer.h"

namespace halfbyte {

LongestSegment::LongestSegment(const ModelSettings& settings, const EndpointRule& rule)
    : step_ms_(settings.step_ms()),
      max_ms_(std::min<int64_t>(settings.max_segment_ms,
                                rule.max_segment_ms.value_or(settings.max_segment_ms))) {}

Ending LongestSegment::accept(const Heard& heard) const {
  if (heard.num_steps * step_ms_ < max_ms_) return {};
  return {EndReason::kLength, heard.num_steps};
}

Ending SilenceRule::accept(const Heard& heard) const {
  if (!rule_.trailing_silence_ms || !heard.last_token_step) return {};
  const int64_t silence_ms = *rule_.trailing_silence_ms;
  if ((heard.num_steps - 1 - *heard.last_token_step) * step_ms_ < silence_ms) return {};
  const int64_t own_silence_ms = silence_ms - rule_.pre_roll_ms();
  return {EndReason::kSilence, *heard.last_token_step + 1 + (own_silence_ms + step_ms_ - 1) / step_ms_};
}

Ending first_ending(const Endpointers& endpointers, const Heard& heard) {
  for (const auto& endpointer : endpointers) {
    const Ending ending = endpointer->accept(heard);
    if (ending.reason != EndReason::kNone) return ending;
  }
  return {};
}

}  // namespace halfbyte
