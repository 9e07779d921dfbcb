// Runs every kernel on memory that is exactly as large as it must be, for a sanitizer to watch, and
// checks what needs no other program to check: that results are finite, alike from every
// instruction set, and the same bits from any number of threads and for any wishes.
//
//     exercise            every instruction set, cell, dtype and shape
//     exercise threads    only runs on several threads, for ThreadSanitizer
#include <chrono>
#include <cstdio>
#include <cstring>

#include "one_run.h"

using namespace glasscell;

namespace {

const Subject subjects[] = {
    {.name = "lstm", .kind = Kind::lstm},
    {.name = "lstm with a forget peephole", .kind = Kind::lstm, .bias = false, .peephole = {-1, 0, -1, -1}},
    {.name = "lstm with peepholes and a projection", .kind = Kind::lstm, .projection = true, .peephole = {0, 1, -1, 2}},
    {.name = "lstm with noise", .kind = Kind::lstm, .peephole = {0, 1, -1, 2}, .noise = true},
    {.name = "lstm with noise and a projection", .kind = Kind::lstm, .projection = true, .noise = true},
    {.name = "lstm with drawn gates", .kind = Kind::lstm, .peephole = {0, 1, -1, 2}, .noise = true, .holds = false},
    {.name = "lstm with gates that are 0 or 1", .kind = Kind::lstm, .noise = true, .holds = false, .by_odds = true},
    {.name = "lstm with held states", .kind = Kind::lstm, .projection = true, .noise = true, .draws = false},
    {.name = "coupled lstm with peepholes", .kind = Kind::lstm3, .peephole = {0, -1, 1, -1}, .squash = {0, 1, 0, 0},
     .slot = {0, -1, 1, 2}, .sharing = Sharing::complement},
    {.name = "janet", .kind = Kind::lstm2, .squash = {0, 1, 0, 0}, .output_squash = 3, .slot = {-1, 0, 1, -1},
     .sharing = Sharing::complement},
    {.name = "minlstm", .kind = Kind::lstm3, .squash = {0, 0, 6, 0}, .output_squash = 3, .slot = {0, 1, 2, -1},
     .sharing = Sharing::normalized, .reads_h = false},
    {.name = "slstm", .kind = Kind::slstm},
    {.name = "slstm with noise", .kind = Kind::slstm, .projection = true, .noise = true},
    {.name = "layer-normalised lstm", .kind = Kind::norm_lstm},
    {.name = "layer-normalised lstm with noise", .kind = Kind::norm_lstm, .projection = true, .noise = true},
    {.name = "layer-normalised gru", .kind = Kind::norm_gru, .noise = true},
    {.name = "gru", .kind = Kind::gru},
    {.name = "gru with noise", .kind = Kind::gru, .noise = true},
    {.name = "mingru", .kind = Kind::gru2, .squash = {0, 6, 0, 0}, .reads_h = false},
    {.name = "rnn with tanh", .kind = Kind::rnn, .squash = {1, 0, 0, 0}},
    {.name = "rnn with relu", .kind = Kind::rnn, .bias = false, .squash = {2, 0, 0, 0}},
    {.name = "indrnn with noise", .kind = Kind::rnn, .peephole = {0, -1, -1, -1}, .squash = {2, 0, 0, 0},
     .reads_h = false, .noise = true},
};
constexpr Dtype dtypes[] = {Dtype::float32, Dtype::float64, Dtype::bfloat16};
const int shapes[][3] = {{1, 1, 1}, {3, 16, 5}, {16, 17, 3}, {17, 65, 16}, {65, 3, 17}, {64, 64, 32}, {5, 130, 65}};
const std::vector<int64_t> dense[] = {{1}, {5, 5, 5}}, ragged[] = {{3, 1, 1, 1}, {17, 13, 9, 4, 2}};
// By dtype: of one instruction set against another, which is twice what tests/tolerances.py allows
// either against the truth.
constexpr double tolerances[] = {1e-5, 2e-13, 6e-2};

long runs = 0;

[[noreturn]] void fail(const Kernels& kernels, const Case& c, const std::string& what, double by = 0) {
  std::fprintf(stderr, "%s, %s, dtype %d, I %d H %d P %d, %zu steps of at most %d, %s%s%s: %s %g\n", kernels.name,
               c.subject->name, int(c.dtype), c.I, c.H, c.P, c.sizes.size(), int(c.sizes[0]),
               c.dense ? "dense" : "ragged", c.reverse ? ", reverse" : "", c.odd ? ", odd addresses" : "",
               what.c_str(), by);
  std::exit(1);
}

Results checked(const Kernels& kernels, const Case& c, const Wishes& wishes = {}, int threads = 1) {
  ++runs;
  Results results = run(kernels, c, wishes, threads);
  for (const auto& [name, numbers] : results)
    if (!numbers.finite()) fail(kernels, c, name + " is not finite");
  return results;
}

// What both have is the same.
void compare(const Kernels& kernels, const Case& c, const Results& found, const Results& expected, const char* when) {
  for (const auto& [name, numbers] : found)
    if (auto other = expected.find(name); other != expected.end() && !numbers.same_bits(other->second))
      fail(kernels, c, name + " differs " + when, numbers.distance(other->second));
}

template <class Body>
void for_cases(const Body& body) {
  for (const Subject& subject : subjects)
    for (Dtype dtype : dtypes)
      for (const auto& [I, H, P] : shapes)
        for (bool reverse : {false, true}) {
          for (const auto& sizes : dense) body(Case{&subject, dtype, I, H, P, sizes, true, reverse, reverse});
          for (const auto& sizes : ragged) body(Case{&subject, dtype, I, H, P, sizes, false, reverse, !reverse});
        }
}

// An instruction set against the plainest one, which comes last.
void compare_variants(const Case& c, const Wishes& wishes) {
  if (c.subject->by_odds) return;
  const auto& all = supported_kernels();
  const Results expected = checked(*all.back(), c, wishes);
  // where rounding moves relu past 0, the candidate of minLSTM and minGRU past 1/2, an sLSTM's two
  // exponents past each other
  const bool relu = c.subject->kind == Kind::rnn && c.subject->squash[0] == 2;
  const bool jumps = (relu || !c.subject->reads_h || c.subject->kind == Kind::slstm) && c.dtype == Dtype::bfloat16;
  for (const Kernels* kernels : all) {
    const Results found = checked(*kernels, c, wishes);
    for (const auto& [name, numbers] : found) {
      const double by = numbers.distance(expected.at(name));
      if (by > tolerances[int(c.dtype)] && !(jumps && name.find('d') != std::string::npos))
        fail(*kernels, c, name + " is not the plain kernels'", by);
    }
  }
}

// Whatever else is asked for, a result stays the same.
void compare_wishes(const Case& c) {
  for (const Kernels* kernels : supported_kernels()) {
    const Results everything = checked(*kernels, c);
    compare(*kernels, c, checked(*kernels, c, {.record = false}), everything, "without a record");
    for (int bit = 0; bit < 11; ++bit)
      compare(*kernels, c, checked(*kernels, c, {.gradients = 1u << bit, .of_steps = false}), everything,
              "where few gradients are wanted");
    checked(*kernels, c, {.states = false, .gates = false, .of_steps = false});
    // with edits odds are computed again, from sums that may have been rounded
    if (!(c.subject->by_odds && c.dtype == Dtype::bfloat16))
      compare(*kernels, c, checked(*kernels, c, {.edited = Wishes::Edited::nowhere}), everything, "with edits of no token");
    Case moved = c;
    moved.odd = !c.odd;
    compare(*kernels, c, checked(*kernels, moved), everything, "at another address");
  }
}

// A large enough batch is cut by sequences, a large enough layer by units.
void compare_threads() {
  std::vector<int64_t> many(6, 24), falling, few(5, 2);
  for (int64_t size = 40; size > 0; size -= 3) falling.push_back(size);
  for (const Subject& subject : subjects)
    for (Dtype dtype : dtypes)
      for (bool reverse : {false, true})
        for (const Case& c : {Case{&subject, dtype, 17, 66, 33, many, true, reverse, false},
                              Case{&subject, dtype, 17, 66, 33, falling, false, reverse, true},
                              Case{&subject, dtype, 9, 260, 130, few, true, reverse, false}}) {
          const Kernels& kernels = *supported_kernels().front();
          const Results alone = checked(kernels, c);
          for (int threads : {2, 3, 5}) compare(kernels, c, checked(kernels, c, {}, threads), alone, "on several threads");
          const Wishes edited{.edited = Wishes::Edited::everywhere};
          compare(kernels, c, checked(kernels, c, edited, 3), checked(kernels, c, edited), "on several threads, edited");
        }
}

// A step of a stream reads its states and writes them to the same place.
void compare_steps_in_place() {
  for (const Kernels* kernels : supported_kernels())
    for (const Subject& subject : subjects)
      for (Dtype dtype : dtypes)
        for (int64_t B : {1, 24}) {
          const Case c{&subject, dtype, 17, 130, 65, {B}, true, false, false};
          const Results expected = checked(*kernels, c);
          for (int threads : {1, 3})
            compare(*kernels, c, checked(*kernels, c, {.in_place = true}, threads), expected, "in place");
        }
}

// Every byte counts, and none outside.
void fingerprints() {
  for (const Kernels* kernels : supported_kernels())
    for (size_t bytes : {0, 1, 3, 64, 255, 256, 257, 300, 800, 700000}) {
      Numbers numbers(Dtype::float64, (bytes + 7) / 8);
      char* first = static_cast<char*>(numbers.data()) + (numbers.bytes() - bytes);
      const Bytes tensors[] = {{nullptr, 0}, {first, bytes}};
      const uint64_t print = kernels->fingerprint(tensors, 2, 1);
      bool right = print == kernels->fingerprint(tensors, 2, 3);
      for (size_t k = 0; k < bytes; k += bytes > 1000 ? 9973 : 1) {
        first[k] ^= 1;
        right &= print != kernels->fingerprint(tensors, 2, 1);
        first[k] ^= 1;
      }
      // changes whose differences lie in the highest bits, which a product alone never brings down
      for (size_t k = 3; k + 256 < bytes && bytes < 1000; k += 4) {
        first[k] ^= char(0x80), first[k + 256] ^= char(0x80);
        right &= print != kernels->fingerprint(tensors, 2, 1);
        first[k] ^= char(0x80), first[k + 256] ^= char(0x80);
      }
      if (!right) {
        std::fprintf(stderr, "%s: the fingerprint of %zu bytes is wrong\n", kernels->name, bytes);
        std::exit(1);
      }
    }
}

// How work is cut among threads: by units and by sequences.
void grids() {
  constexpr size_t kib = 1024;
  const struct {
    const char* what;
    int threads, panels;
    size_t panel_bytes;
    int rows;
    double flops;
    int by_unit, by_sequence;
  } cases[] = {
      {"one thread", 1, 8, 64 * kib, 32, 1e7, 1, 1},
      {"weights in each core's cache", 2, 8, 64 * kib, 32, 1e7, 1, 2},
      {"the same, with few sequences", 4, 8, 64 * kib, 8, 1e7, 2, 2},
      {"weights in the next cache", 2, 16, 128 * kib, 16, 1e7, 1, 2},
      {"the same, with fewer than two tiles for each thread", 2, 16, 128 * kib, 8, 1e7, 2, 1},
      {"large weights", 2, 32, 256 * kib, 64, 1e8, 2, 1},
      {"large weights in few panels", 8, 2, 4096 * kib, 64, 1e8, 2, 4},
      {"steps too short to wait for each other", 2, 1, 4 * kib, 1, 2e4, 1, 1},
      {"a run too short to wake anybody", 8, 8, 64 * kib, 32, 1e3, 1, 1},
  };
  for (const auto& each : cases) {
    const Grid grid = choose_grid(each.threads, each.panels, each.panel_bytes, each.rows, each.flops, 100);
    if (grid.by_unit == each.by_unit && grid.by_sequence == each.by_sequence) continue;
    std::fprintf(stderr, "%s: cut by %d and %d, expected %d and %d\n", each.what, grid.by_unit, grid.by_sequence,
                 each.by_unit, each.by_sequence);
    std::exit(1);
  }
}

}  // namespace

int main(int count, char** arguments) {
  const auto start = std::chrono::steady_clock::now();
  const bool only_threads = count > 1 && !std::strcmp(arguments[1], "threads");
  if (!only_threads) {
    fingerprints();
    grids();
    for (auto edited : {Wishes::Edited::no, Wishes::Edited::everywhere})
      for_cases([&](const Case& c) { compare_variants(c, {.edited = edited}); });
    for_cases([](const Case& c) {
      if (c.H == 17 || c.H == 64) compare_wishes(c);
    });
  }
  compare_steps_in_place();
  compare_threads();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  for (const Kernels* kernels : supported_kernels()) std::printf("%s ", kernels->name);
  std::printf("\n%ld runs in %.0f s: nothing found\n", runs, seconds.count());
}
