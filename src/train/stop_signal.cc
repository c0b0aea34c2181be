#include "train/stop_signal.h"

#include <csignal>

namespace hadal {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

extern "C" void on_stop(int signal) {
  stop_requested = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopSignal::StopSignal() {
  stop_requested = 0;
  std::signal(SIGINT, on_stop);
  std::signal(SIGTERM, on_stop);
}

StopSignal::~StopSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool StopSignal::requested() {
  return stop_requested != 0;
}

}  // namespace hadal
