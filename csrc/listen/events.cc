#include "listen/events.h"

namespace halfbyte {

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
