#include "listen/events.h"

#include <algorithm>

namespace halfbyte {
namespace {

struct Bounds {
  int64_t end_ms, step_ms;

  void operator()(Text& text) const {
    keep(&text.start_ms, 0, end_ms);
    keep(&text.end_ms, 0, end_ms);
    for (Word& word : text.words) {
      keep(&word.start_ms, 0, std::max<int64_t>(0, end_ms - step_ms));
      keep(&word.end_ms, std::min(word.start_ms + step_ms, end_ms), end_ms);
    }
  }
  template <class Other>
  void operator()(Other& event) const {
    keep(&event.time_ms, 0, end_ms);
  }

 private:
  static void keep(int64_t* time_ms, int64_t from_ms, int64_t to_ms) {
    *time_ms = std::clamp(*time_ms, from_ms, to_ms);
  }
};

}  // namespace

void keep_within(int64_t end_ms, int64_t step_ms, std::vector<Event>* events) {
  for (Event& event : *events) std::visit(Bounds{end_ms, step_ms}, event);
}

const char* name_of(EndReason reason) {
  switch (reason) {
    case EndReason::kNone:
      return "";
    case EndReason::kSilence:
      return "silence";
    case EndReason::kLength:
      return "length";
    case EndReason::kFinish:
      return "finish";
  }
  return "";
}

}  // namespace halfbyte
