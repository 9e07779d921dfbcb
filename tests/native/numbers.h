// Numbers of one dtype in memory that is exactly large enough: the sanitizer sees any access beside.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>

#include "calls.h"

namespace glasscell {

inline size_t size_of(Dtype dtype) { return dtype == Dtype::float64 ? 8 : dtype == Dtype::float32 ? 4 : 2; }

class Numbers {
 public:
  Numbers() = default;  // none
  // All NaN, to tell what was never written. At an `odd` address no vector of them is aligned.
  Numbers(Dtype dtype, size_t count, bool odd = false)
      : dtype_(dtype), count_(count), shift_(odd ? size_of(dtype) : 0), memory_(new char[shift_ + bytes()]) {
    std::memset(memory_.get(), 0xff, shift_ + bytes());
  }
  void* data() const { return memory_ ? memory_.get() + shift_ : nullptr; }
  size_t count() const { return count_; }
  size_t bytes() const { return count_ * size_of(dtype_); }

  void set(size_t k, double value) {
    char* to = static_cast<char*>(data()) + k * size_of(dtype_);
    const float single = float(value);
    uint32_t bits;
    std::memcpy(&bits, &single, 4);
    const uint16_t half = uint16_t(bits >> 16);
    if (dtype_ == Dtype::float64) std::memcpy(to, &value, 8);
    if (dtype_ == Dtype::float32) std::memcpy(to, &single, 4);
    if (dtype_ == Dtype::bfloat16) std::memcpy(to, &half, 2);
  }
  double get(size_t k) const {
    const char* from = static_cast<const char*>(data()) + k * size_of(dtype_);
    double value;
    float single;
    uint16_t half;
    if (dtype_ == Dtype::float64) return std::memcpy(&value, from, 8), value;
    if (dtype_ == Dtype::float32) return std::memcpy(&single, from, 4), single;
    std::memcpy(&half, from, 2);
    const uint32_t bits = uint32_t(half) << 16;
    return std::memcpy(&single, &bits, 4), single;
  }

  bool finite() const {
    for (size_t k = 0; k < count_; ++k)
      if (!std::isfinite(get(k))) return false;
    return true;
  }
  bool same_bits(const Numbers& other) const {
    return count_ == other.count_ && (count_ == 0 || std::memcmp(data(), other.data(), bytes()) == 0);
  }
  // The largest difference, as a fraction of the largest magnitude or of 1.
  double distance(const Numbers& other) const {
    double difference = 0, largest = 1;
    for (size_t k = 0; k < count_; ++k) {
      difference = std::fmax(difference, std::fabs(get(k) - other.get(k)));
      largest = std::fmax(largest, std::fabs(other.get(k)));
    }
    return difference / largest;
  }

 private:
  Dtype dtype_ = Dtype::float32;
  size_t count_ = 0, shift_ = 0;
  std::unique_ptr<char[]> memory_;
};

}  // namespace glasscell
