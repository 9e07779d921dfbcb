// Memory for panels and for the scratch space of a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace glasscell {

constexpr size_t cache_line = 64, huge_page = size_t(2) << 20;

// Asks for huge pages, where the system gives them on request: a fresh tensor of some megabytes
// then costs a few page faults in place of thousands.
inline void prefer_huge_pages(void* data, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const uintptr_t first = (reinterpret_cast<uintptr_t>(data) + huge_page - 1) / huge_page * huge_page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / huge_page * huge_page;
  if (data && first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

// A block that starts on a cache line; large ones on a huge page, where the system has them, as
// products walk through them in strides that would otherwise miss the page table's cache.
class Block {
 public:
  Block() = default;
  explicit Block(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    size_t alignment = bytes >= huge_page ? huge_page : cache_line;
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    data_ = std::aligned_alloc(alignment, rounded);
    if (!data_) throw std::bad_alloc();
    prefer_huge_pages(data_, rounded);
  }
  Block(Block&& other) noexcept { swap(other); }
  Block& operator=(Block&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Block() { std::free(data_); }

  template <class E>
  E* as() const {
    return static_cast<E*>(data_);
  }
  size_t bytes() const { return bytes_; }

 private:
  void swap(Block& other) {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Scratch space: first every part asks for its bytes, then all are cut from one block.
//
// The block is kept by the calling thread from run to run, up to a bound, and so costs its page
// faults once.
class Scratch {
 public:
  template <class E>
  void ask(E*& part, size_t count) {
    requests_.push_back({reinterpret_cast<void**>(&part), total_, count * sizeof(E)});
    total_ += (count * sizeof(E) + cache_line - 1) / cache_line * cache_line + cache_line;
  }
  // What is asked for from here on lies far from what was: a core that fetches ahead of what it
  // reads would take cache lines from another that writes there.
  void leave_gap() {
    constexpr size_t page = 4096;
    total_ = (total_ + 2 * page - 1) / page * page;
  }
  void allot() {
    if (total_ > kept().bytes()) kept() = Block(total_ + total_ / 4);
    char* base = kept().as<char>();
    for (const Request& each : requests_) *each.part = base + each.offset;
#if defined(__SANITIZE_ADDRESS__)
    ASAN_POISON_MEMORY_REGION(base, kept().bytes());
    for (const Request& each : requests_) {
      ASAN_UNPOISON_MEMORY_REGION(base + each.offset, each.bytes);
      memset(base + each.offset, 0xff, each.bytes);
    }
#endif
  }
  ~Scratch() {
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(kept().as<char>(), kept().bytes());
#endif
    constexpr size_t bound = size_t(64) << 20;
    if (kept().bytes() > bound) kept() = Block();
  }

 private:
  static Block& kept() {
    static thread_local Block block;
    return block;
  }
  struct Request {
    void** part;
    size_t offset, bytes;
  };
  std::vector<Request> requests_;
  size_t total_ = 0;
};

}  // namespace glasscell
