#pragma once

namespace hadal {

/// While one lives, SIGINT and SIGTERM only set a flag; long work asks for it at places where it can save and stop. A
/// second signal ends the process as usual.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  static bool requested();
};

}  // namespace hadal
