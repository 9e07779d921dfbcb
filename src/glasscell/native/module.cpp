// The Python module `glasscell._kernels`. Tensors come as addresses: `engines/native.py` has
// checked their shapes, dtypes and strides, and keeps them alive during the call.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>

#include "isa.h"

namespace nb = nanobind;

namespace glasscell {
namespace {

using Address = uintptr_t;
using Four = std::array<int, 4>;

const void* in(Address address) { return reinterpret_cast<const void*>(address); }
void* out(Address address) { return reinterpret_cast<void*>(address); }

std::atomic<const Kernels*> chosen{nullptr};

const Kernels& kernels() {
  if (const Kernels* found = chosen.load()) return *found;
  return *supported_kernels().front();
}

// Raises where these batch sizes would lead the kernels out of their tensors.
Sequences sequences(int64_t T, int64_t B, int64_t N, Address batch_sizes, bool reverse) {
  const auto* sizes = reinterpret_cast<const int64_t*>(batch_sizes);
  int64_t tokens = sizes ? 0 : T * B;
  for (int64_t t = 0; sizes && t < T; ++t) {
    if (sizes[t] < 1 || sizes[t] > (t == 0 ? B : sizes[t - 1]))
      throw std::invalid_argument("batch_sizes: expected positive and never increasing from the batch, got " +
                                  std::to_string(sizes[t]) + " at step " + std::to_string(t));
    tokens += sizes[t];
  }
  if (T < 1 || tokens != N)
    throw std::invalid_argument("batch_sizes: expected a sum of " + std::to_string(N) + " tokens, got " +
                                std::to_string(tokens));
  return {T, B, N, sizes, reverse};
}

// Rows, scale and shift of each slot and how many rows its tables have, or nothing at all. Raises
// where a token's row would lead the kernels out of the tables.
Edits edits(const std::vector<Address>& tables, int64_t N) {
  Edits found{};
  if (tables.empty()) return found;
  if (tables.size() != 4 * Edits::slots) throw std::invalid_argument("edits: expected tables for each quantity");
  found.any = true;
  for (size_t k = 0; k < Edits::slots; ++k) {
    const auto* rows = static_cast<const int64_t*>(in(tables[4 * k]));
    found.of[k] = {rows, in(tables[4 * k + 1]), in(tables[4 * k + 2])};
    const auto count = int64_t(tables[4 * k + 3]);
    for (int64_t n = 0; rows && n < N; ++n)
      if (rows[n] < -1 || rows[n] >= count)
        throw std::invalid_argument("edits: expected rows -1 to " + std::to_string(count - 1) + ", got " +
                                    std::to_string(rows[n]));
  }
  return found;
}

// What chance does: nothing for None, else (seed, training, zoneout of the cell, of the hidden state,
// address of the mask or 0).
Noise noise(const nb::object& given) {
  Noise found{};
  if (given.is_none()) return found;
  const auto parts = nb::cast<nb::tuple>(given);
  if (parts.size() != 5) throw std::invalid_argument("noise: expected seed, training, two rates and a mask");
  found.any = true;
  found.seed = nb::cast<uint64_t>(parts[0]);
  found.training = nb::cast<bool>(parts[1]);
  found.zoneout_cell = nb::cast<double>(parts[2]);
  found.zoneout_hidden = nb::cast<double>(parts[3]);
  found.mask = in(nb::cast<Address>(parts[4]));
  return found;
}

// One layer's weights in one direction, packed for the kernels; read-only from then on.
class Packed {
 public:
  Packed(int kind, int dtype, int I, int H, int P, bool reads_h, Four squash, int output_squash, Four peephole,
         Four slot, int sharing, double complement, Four stochastic, std::array<double, 4> temperature, bool log_forget,
         std::array<Address, 8> weights, int threads)
      : kernels_(kernels()) {
    cell_.kind = Kind(kind);
    cell_.dtype = Dtype(dtype);
    cell_.I = I, cell_.H = H, cell_.P = P, cell_.reads_h = reads_h;
    cell_.output_squash = output_squash, cell_.sharing = sharing, cell_.complement = complement;
    cell_.log_forget = log_forget;
    cell_.draws = 0;
    for (int g = 0; g < 4; ++g) {
      cell_.squash[g] = squash[g], cell_.peephole[g] = peephole[g], cell_.slot[g] = slot[g];
      cell_.stochastic[g] = stochastic[g], cell_.temperature[g] = temperature[g];
      cell_.draw[g] = cell_.draws;
      cell_.draws += stochastic[g] != 0;
    }
    cell_.ordinary = is_ordinary(cell_);
    point(weights);
    nb::gil_scoped_release released;
    fingerprint_ = fingerprint(weights, threads);
    kernels_.pack_forward(cell_, panels_, threads);
  }

  // Whether these are the weights that were packed, going by the fingerprint of their bytes.
  bool holds(std::array<Address, 8> weights, int threads) const {
    nb::gil_scoped_release released;
    return fingerprint(weights, threads) == fingerprint_;
  }

  void forward(int64_t T, int64_t B, int64_t N, Address batch_sizes, bool reverse,
               std::array<Address, 3> inputs, std::array<Address, 7> outputs,
               const std::vector<Address>& tables, const nb::object& chance, int threads) const {
    Forward f{};
    f.sequences = sequences(T, B, N, batch_sizes, reverse);
    f.panels = &panels_;
    f.x = in(inputs[0]), f.h_0 = in(inputs[1]), f.c_0 = in(inputs[2]);
    f.h = out(outputs[0]), f.c = out(outputs[1]), f.gates = out(outputs[2]), f.pre = out(outputs[3]);
    f.q = out(outputs[4]), f.h_n = out(outputs[5]), f.c_n = out(outputs[6]);
    f.edits = edits(tables, N);
    f.noise = noise(chance);
    f.threads = threads;
    nb::gil_scoped_release released;
    kernels_.forward(f);
  }

  // One step on a state in place; h is written to `y` too, if given. It keeps
  // the interpreter's lock: to give that up and take it again can take longer than a step.
  void step(int64_t B, Address x, Address h, Address c, Address y, int threads) const {
    Forward f{};
    f.sequences = {1, B, B, nullptr, false};
    f.panels = &panels_;
    f.x = in(x), f.h_0 = in(h), f.c_0 = in(c);
    f.h = out(y ? y : h), f.h_n = y ? out(h) : nullptr, f.c_n = out(c);
    f.threads = threads;
    kernels_.forward(f);
  }

  void backward(int64_t T, int64_t B, int64_t N, Address batch_sizes, bool reverse,
                std::array<Address, 8> weights, std::array<Address, 10> saved,
                std::array<Address, 4> gradients, std::array<Address, 11> wanted,
                std::array<Address, 3> of_steps, const std::vector<Address>& tables, const nb::object& chance,
                int threads) {
    Backward f{};
    f.sequences = sequences(T, B, N, batch_sizes, reverse);
    f.panels = &panels_;
    f.x = in(saved[0]), f.h_0 = in(saved[1]), f.c_0 = in(saved[2]);
    f.h = in(saved[3]), f.c = in(saved[4]), f.gates = in(saved[5]), f.q = in(saved[6]);
    f.pre = in(saved[7]), f.h_read = in(saved[8]), f.h_0_read = in(saved[9]);
    f.edits = edits(tables, N);
    f.noise = noise(chance);
    f.dh = in(gradients[0]), f.dc = in(gradients[1]), f.dgates = in(gradients[2]), f.dpre = in(gradients[3]);
    f.dx = out(wanted[0]), f.dh_0 = out(wanted[1]), f.dc_0 = out(wanted[2]);
    f.dW = out(wanted[3]), f.dU = out(wanted[4]), f.db_x = out(wanted[5]), f.db_h = out(wanted[6]);
    f.dV = out(wanted[7]), f.dp = out(wanted[8]), f.da = out(wanted[9]), f.da_c = out(wanted[10]);
    f.step_dh = out(of_steps[0]), f.step_dc = out(of_steps[1]), f.step_dgates = out(of_steps[2]);
    f.threads = threads;
    nb::gil_scoped_release released;
    {  // not while holding the interpreter's lock: whoever packs may need it
      std::lock_guard<std::mutex> lock(packing_);
      if (!packed_backward_) {
        point(weights);
        kernels_.pack_backward(cell_, panels_, threads);
        packed_backward_ = true;
      }
    }
    kernels_.backward(f);
  }

  const char* variant() const { return kernels_.name; }

 private:
  uint64_t fingerprint(const std::array<Address, 8>& weights, int threads) const {
    const size_t rows = size_t(gates_of(cell_.kind)) * size_t(cell_.H), I = size_t(cell_.I);
    const size_t P = size_t(cell_.P), H = size_t(cell_.H);
    const size_t peepholes = size_t(*std::max_element(cell_.peephole, cell_.peephole + 4) + 1);
    const size_t number = cell_.dtype == Dtype::float64 ? 8 : cell_.dtype == Dtype::float32 ? 4 : 2;
    const size_t of_h = cell_.reads_h ? rows : 0;
    const size_t counts[8] = {rows * I, of_h * P, rows, of_h, P * H, peepholes * H, 2 * rows, 2 * H};
    Bytes tensors[8];
    for (size_t k = 0; k < 8; ++k)
      tensors[k] = {static_cast<const char*>(in(weights[k])), weights[k] ? counts[k] * number : 0};
    return kernels_.fingerprint(tensors, 8, threads);
  }

  void point(const std::array<Address, 8>& weights) {
    cell_.W = in(weights[0]), cell_.U = in(weights[1]), cell_.b_x = in(weights[2]);
    cell_.b_h = in(weights[3]), cell_.V = in(weights[4]), cell_.p = in(weights[5]);
    cell_.a = in(weights[6]), cell_.a_c = in(weights[7]);
  }

  const Kernels& kernels_;
  CellWeights cell_{};
  Panels panels_{};
  uint64_t fingerprint_ = 0;
  std::mutex packing_;
  bool packed_backward_ = false;
};

// Stacked layers that take one step at a time, on states that lie in the caller's tensors.
class Stepper {
 public:
  // The addresses of each layer's state, h (B, P) and c (B, H), which steps read and write.
  Stepper(nb::list packed, int64_t B, std::vector<Address> h, std::vector<Address> c, int threads)
      : owners_(packed), B_(B), h_(h), c_(c), threads_(threads) {
    for (nb::handle each : packed) layers_.push_back(nb::cast<const Packed*>(each));
    if (layers_.empty() || h_.size() != layers_.size() || (c_.size() != layers_.size() && !c_.empty()))
      throw std::invalid_argument("a state for each layer is needed");
  }

  // One step: x (B, I) to y (B, P), the last layer's h.
  void step(Address x, Address y) const {
    for (size_t k = 0; k < layers_.size(); ++k) {
      const Address h = h_[k], c = c_.empty() ? 0 : c_[k];
      // what a layer writes last is its state: the layer above reads it there
      const Address above = k + 1 == layers_.size() ? y : 0;
      layers_[k]->step(B_, k == 0 ? x : h_[k - 1], h, c, above, threads_);
    }
  }

 private:
  nb::list owners_;
  std::vector<const Packed*> layers_;
  int64_t B_;
  std::vector<Address> h_, c_;
  int threads_;
};

std::vector<std::string> variants() {
  std::vector<std::string> names;
  for (const Kernels* each : supported_kernels()) names.push_back(each->name);
  return names;
}

void use_variant(const std::string& name) {
  for (const Kernels* each : supported_kernels())
    if (name == each->name) return chosen.store(each);
  throw std::invalid_argument("no kernels for \"" + name + "\" here");
}

}  // namespace

NB_MODULE(_kernels, m) {
  m.doc() = "Kernels of the native engine. Use glasscell.engines, not this.";
  m.def("variants", &variants, "Instruction sets with kernels that this processor runs, the fastest first.");
  m.def("variant", [] { return kernels().name; }, "The instruction set that new weights are packed for.");
  m.def("use_variant", &use_variant, nb::arg("name"), "Packs new weights for another instruction set.");
  nb::class_<Packed>(m, "Packed", "One layer's weights in one direction, as the kernels read them.")
      .def(nb::init<int, int, int, int, int, bool, Four, int, Four, Four, int, double, Four, std::array<double, 4>, bool,
                    std::array<Address, 8>, int>())
      .def("holds", &Packed::holds)
      .def("forward", &Packed::forward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
           nb::arg(), nb::arg(), nb::arg().none(), nb::arg())
      .def("backward", &Packed::backward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
           nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg())
      .def_prop_ro("variant", &Packed::variant);
  nb::class_<Stepper>(m, "Stepper", "Stacked layers that take one step at a time.")
      .def(nb::init<nb::list, int64_t, std::vector<Address>, std::vector<Address>, int>())
      .def("step", &Stepper::step);
}

}  // namespace glasscell
