// Which instruction sets this library has kernels for, and which the processor can run.
#pragma once

#include <vector>

#include "calls.h"

namespace glasscell {

// All that were built and that this processor runs, the fastest first. Never empty.
const std::vector<const Kernels*>& supported_kernels();

}  // namespace glasscell
