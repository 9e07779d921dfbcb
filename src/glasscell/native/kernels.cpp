// The kernels of one instruction set. The build compiles this file once for each, with that set's
// flags and its name in GLASSCELL_VARIANT.
#include "backward.h"
#include "fingerprint.h"
#include "forward.h"

namespace glasscell::GLASSCELL_VARIANT {
namespace {

// Calls body(mode) with the types of a dtype.
template <class Body>
void with_precision(Dtype dtype, const Body& body) {
  switch (dtype) {
    case Dtype::float32: return body(Float32{});
    case Dtype::float64: return body(Float64{});
    case Dtype::bfloat16: return body(BFloat16{});
  }
}

template <template <class, Kind> class Run, class Call>
void run(const Call& call) {
  with_precision(call.panels->cell.dtype, [&](auto mode) {
    using Mode = decltype(mode);
    switch (call.panels->cell.kind) {
      case Kind::lstm: return Run<Mode, Kind::lstm>(call).run();
      case Kind::gru: return Run<Mode, Kind::gru>(call).run();
      case Kind::rnn: return Run<Mode, Kind::rnn>(call).run();
      case Kind::lstm3: return Run<Mode, Kind::lstm3>(call).run();
      case Kind::lstm2: return Run<Mode, Kind::lstm2>(call).run();
      case Kind::gru2: return Run<Mode, Kind::gru2>(call).run();
      case Kind::slstm: return Run<Mode, Kind::slstm>(call).run();
      case Kind::norm_lstm: return Run<Mode, Kind::norm_lstm>(call).run();
      case Kind::norm_gru: return Run<Mode, Kind::norm_gru>(call).run();
    }
  });
}

}  // namespace

#define GLASSCELL_STRING(name) #name
#define GLASSCELL_NAME(name) GLASSCELL_STRING(name)

extern const Kernels kernels;
const Kernels kernels = {
    GLASSCELL_NAME(GLASSCELL_VARIANT),
    fingerprint,
    [](const CellWeights& cell, Panels& panels, int threads) {
      with_precision(cell.dtype, [&](auto mode) { pack_forward<decltype(mode)>(cell, panels, threads); });
    },
    [](const CellWeights& cell, Panels& panels, int threads) {
      with_precision(cell.dtype, [&](auto mode) { pack_backward<decltype(mode)>(cell, panels, threads); });
    },
    [](const Forward& call) { run<ForwardRun>(call); },
    [](const Backward& call) { run<BackwardRun>(call); },
};

}  // namespace glasscell::GLASSCELL_VARIANT
