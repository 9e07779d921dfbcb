// Whether memory still holds what it held: a tensor's version does not count writes through
// `.data`, NumPy or another process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace glasscell {

// Each word is multiplied into one of several running sums by an odd number, which loses nothing:
// a single changed word always changes the result, several with all but certainty.
inline uint64_t fingerprint(const void* data, size_t bytes) {
  constexpr uint64_t odd = 0x9e3779b97f4a7c15u;
  constexpr int streams = 8;
  const char* at = static_cast<const char*>(data);
  uint64_t sums[streams] = {1, 2, 3, 4, 5, 6, 7, 8};
  size_t blocks = bytes / (streams * 8);
  for (size_t k = 0; k < blocks; ++k, at += streams * 8) {
    uint64_t words[streams];
    std::memcpy(words, at, sizeof words);
    for (int s = 0; s < streams; ++s) sums[s] = (sums[s] ^ words[s]) * odd;
  }
  uint64_t result = bytes;
  for (size_t rest = bytes % (streams * 8), k = 0; k < rest; ++k) result = (result ^ uint8_t(at[k])) * odd;
  for (uint64_t sum : sums) result = ((result ^ (result >> 29)) ^ sum) * odd;
  return result;
}

}  // namespace glasscell
