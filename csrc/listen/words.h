// Tokens with their frames, made into words with times and confidences.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "decode/ctc_align.h"
#include "listen/events.h"

namespace halfbyte {

// Tokens as text; `tokens` is the model's list, in which U+2581 marks the start of a word.
std::string text_of(const std::vector<int>& ids, const std::vector<std::string>& tokens);

// Whether the token leaves anything but spaces.
bool has_text(int id, const std::vector<std::string>& tokens);

// Joins tokens into words. A word lasts from a step before the mean step of its first token with text (a lone
// start of a word may come long before; and a word is told from others only once it is under way), but not
// from before the end of the word before, to the last step of its last token; its confidence is the mean of
// its tokens'. `step_ms`: duration of an encoder step; `offset_ms`: where the segment starts.
std::vector<Word> words_of(const std::vector<AlignedToken>& timed, const std::vector<std::string>& tokens,
                           int64_t step_ms, int64_t offset_ms);

}  // namespace halfbyte
