// How a run's work is cut among threads. Results do not depend on it: every number is computed by
// one thread, in one order.
#pragma once

#include <algorithm>
#include <memory>

#include "threads.h"

namespace glasscell {

struct Range {
  int first, end;
  int size() const { return end - first; }
};

inline Range share(int total, int part, int parts) {
  return {int(int64_t(total) * part / parts), int(int64_t(total) * (part + 1) / parts)};
}

// Threads in a grid: some share a set of sequences and cut the units among them, and then wait
// for each other every step; sequences cut apart need no waiting.
struct Grid {
  int by_unit, by_sequence;
  int threads() const { return by_unit * by_sequence; }
};

// The grid for panels of `panel_bytes` each and `steps` steps of `rows` sequences, at `flops` a step.
//
// Sequences are cut apart where a thread can do with all weights for its own: they fit its core's
// cache, or come fast enough from the next one for the rows that each of them serves. Then nobody
// waits, and no state travels between cores. Otherwise units are cut apart, so that each core keeps
// its own part of the weights.
inline Grid choose_grid(int threads, int panels, size_t panel_bytes, int rows, double flops, int64_t steps) {
  constexpr size_t core_cache = size_t(640) << 10, near_cache = size_t(2560) << 10;
  constexpr int full_tile = 4, two_tiles = 8;
  constexpr double worth_waiting = 2.5e4;  // flops a step below which a barrier costs more
  constexpr double worth_waking = 5e5;   // flops in all below which other threads come too late
  Grid grid{1, 1};
  if (threads <= 1 || flops * double(steps) < worth_waking) return grid;
  const size_t weights = size_t(panels) * panel_bytes;
  const int least_rows = weights <= core_cache ? full_tile : two_tiles;
  if (weights <= near_cache) grid.by_sequence = std::max(1, std::min(threads, rows / least_rows));
  if (flops / grid.by_sequence >= worth_waiting)
    grid.by_unit = std::max(1, std::min(threads / grid.by_sequence, panels));
  if (weights > near_cache && grid.by_unit < threads)
    grid.by_sequence = std::max(1, std::min(threads / grid.by_unit, rows / full_tile));
  return grid;
}

// Calls work(thread) on every thread of a grid. Where fewer come than were asked for, one calls alone().
template <class Work, class Alone>
void on_grid(Grid grid, const Work& work, const Alone& alone) {
  parallel(grid.threads(), [&](int thread, int count) {
    if (count == grid.threads()) {
      work(thread);
    } else if (thread == 0) {
      alone();
    }
  });
}

// The threads of a run as they meet: everybody, or those that share sequences.
class Meeting {
 public:
  explicit Meeting(Grid grid) : grid_(grid), groups_(new Barrier[grid.by_sequence]) {
    all_.resize(grid.threads());
    for (int g = 0; g < grid.by_sequence; ++g) groups_[g].resize(grid.by_unit);
  }
  void all(int thread) { all_.wait(thread); }
  void group(int thread) { groups_[thread / grid_.by_unit].wait(thread % grid_.by_unit); }

 private:
  Grid grid_;
  Barrier all_;
  std::unique_ptr<Barrier[]> groups_;
};

}  // namespace glasscell
