// Whether memory still holds what it held: a tensor's version does not count writes through
// `.data`, NumPy or another process.
#pragma once

#include <algorithm>
#include <vector>

#include "calls.h"
#include "threads.h"
#include "vec.h"

namespace glasscell::GLASSCELL_VARIANT {

// Each word is multiplied into one of many running sums by an odd number, which loses nothing: a
// single changed word always changes a sum. A product carries differences upwards only, so its high
// half is brought down before the next word: several changed words, signs too, change a sum with all
// but certainty.
inline uint64_t fingerprint_of(const char* at, size_t bytes) {
  using Words = uint32_t __attribute__((vector_size(vector_bytes)));
  constexpr int streams = 4, lane_count = vector_bytes / 4;
  const Words odd = Words{} + 0x9e3779b1u;
  Words sums[streams] = {Words{} + 1, Words{} + 2, Words{} + 3, Words{} + 4};
  size_t left = bytes;
  for (; left >= streams * vector_bytes; left -= streams * vector_bytes)
    for (int s = 0; s < streams; ++s, at += vector_bytes) {
      Words words;
      std::memcpy(&words, at, sizeof words);
      sums[s] = (sums[s] ^ words) * odd;
      sums[s] = (sums[s] << 15) | (sums[s] >> 17);
    }
  constexpr uint64_t odd64 = 0x9e3779b97f4a7c15u;
  uint64_t result = bytes;
  for (; left > 0; --left) {
    result = (result ^ uint8_t(*at++)) * odd64;
    result ^= result >> 29;
  }
  for (const Words& sum : sums)
    for (int l = 0; l < lane_count; ++l) result = ((result ^ (result >> 29)) ^ sum[l]) * odd64;
  return result;
}

// Of several tensors at once. Large ones are read by several threads, in pieces whose bounds do
// not depend on how many threads there are.
inline uint64_t fingerprint(const Bytes* tensors, size_t count, int threads) {
  constexpr size_t piece = size_t(128) << 10;
  std::vector<Bytes> pieces;
  for (size_t k = 0; k < count; ++k)
    for (size_t from = 0; from < tensors[k].count; from += piece)
      pieces.push_back({tensors[k].first + from, std::min(piece, tensors[k].count - from)});
  std::vector<uint64_t> prints(pieces.size());
  parallel(pieces.size() > 4 ? threads : 1, [&](int thread, int parts) {
    for (size_t k = size_t(thread); k < pieces.size(); k += size_t(parts))
      prints[k] = fingerprint_of(pieces[k].first, pieces[k].count);
  });
  return fingerprint_of(reinterpret_cast<const char*>(prints.data()), prints.size() * sizeof(uint64_t));
}

}  // namespace glasscell::GLASSCELL_VARIANT
