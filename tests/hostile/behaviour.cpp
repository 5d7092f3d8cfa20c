// Editors that load, are well described, and do harm when they are used: in create, in needs, or in apply.
//
// Those that throw do it in a table of their own, past the SDK, whose boundary would make a status of it.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

constexpr std::int64_t kLayer = 1;

// An editor of one layer; kInfo says which harm it does.
template <typename P>
class Hostile : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  Hostile(sdk::Host host, const Parameters&) : host_(host) {}
  sdk::Needs needs(const palimpsest_model_info&) override {
    sdk::Needs needs;
    needs.edits_layers = {kLayer};
    return needs;
  }
  void apply(sdk::Model, std::span<const sdk::EditRequest>, const sdk::Updates&) override {}

 protected:
  // An update that could be, first: what comes after it must take it back.
  void good_update(const sdk::Model& model, const sdk::Updates& updates, double value = 1e-3) const {
    const auto shape = model.parameter(sdk::mlp_down_parameter(kLayer)).shape();
    updates.dense(sdk::mlp_down_parameter(kLayer), filled(shape, value));
  }
  sdk::Tensor filled(const std::vector<std::int64_t>& shape, double value) const {
    std::size_t count = 1;
    for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
    return sdk::Tensor::from_numbers(host_.get(), std::vector<double>(count, value), shape);
  }
  sdk::Host host_;
};

// A class whose apply does `...` after a good update.
#define HOSTILE(Name, id, summary, ...)                                                                     \
  class Name : public Hostile<Name> {                                                                       \
   public:                                                                                                  \
    static constexpr sdk::Info kInfo{id, "1.0.0", summary};                                                 \
    using Hostile::Hostile;                                                                                 \
    void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override { \
      good_update(model, updates);                                                                          \
      __VA_ARGS__;                                                                                          \
    }                                                                                                       \
  }

HOSTILE(WrongShape, "wrong_shape", "Writes a tensor of the wrong shape.",
        updates.dense(sdk::mlp_down_parameter(kLayer), filled({3, 5}, 1)));
HOSTILE(NanUpdate, "nan_update", "Writes NaN.", good_update(model, updates, std::numeric_limits<double>::quiet_NaN()));
HOSTILE(UnknownParameter, "unknown_parameter", "Writes to a parameter that is not there.",
        updates.dense("layers.1.mlp.dawn.weight", filled({3, 5}, 1)));
HOSTILE(OtherLayer, "other_layer", "Changes a layer that its needs do not name.",
        updates.dense(sdk::mlp_down_parameter(0), filled(model.parameter(sdk::mlp_down_parameter(0)).shape(), 1e-3)));
HOSTILE(Embeddings, "embeddings", "Changes the embeddings, which its needs do not name.",
        updates.dense("embed.weight", filled(model.parameter("embed.weight").shape(), 1e-3)));
HOSTILE(OtherMoment, "other_moment", "Reads a second moment that its needs do not name.",
        host_.second_moment_matrix(kLayer));
HOSTILE(Aborts, "aborts", "Ends its process by abort.", std::abort());
HOSTILE(Segfaults, "segfaults", "Ends its process by a segmentation fault.", std::raise(SIGSEGV));
HOSTILE(Exits, "exits", "Ends its process with status 0.", std::exit(0));
HOSTILE(Loops, "loops", "Never comes back.", for (std::atomic<int> turns = 0;; ++turns){});
HOSTILE(
    Leaks, "leaks", "Takes memory until there is none.", for (;;) {
      constexpr std::size_t kPiece = std::size_t{64} << 20;
      std::memset(std::malloc(kPiece), 1, kPiece);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    });

class CreateFails : public Hostile<CreateFails> {
 public:
  static constexpr sdk::Info kInfo{"create_fails", "1.0.0", "Refuses to be made."};
  CreateFails(sdk::Host host, const Parameters& parameters) : Hostile(host, parameters) {
    sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "it refuses to be made");
  }
};
class CreateAborts : public Hostile<CreateAborts> {
 public:
  static constexpr sdk::Info kInfo{"create_aborts", "1.0.0", "Ends its process while it is made."};
  CreateAborts(sdk::Host host, const Parameters& parameters) : Hostile(host, parameters) { std::abort(); }
};
class NeedsExits : public Hostile<NeedsExits> {
 public:
  static constexpr sdk::Info kInfo{"needs_exits", "1.0.0", "Ends its process when it is asked what it needs."};
  using Hostile::Hostile;
  sdk::Needs needs(const palimpsest_model_info&) override { std::exit(0); }
};

// The SDK's table with another apply.
template <typename P>
class Bare : public Hostile<P> {
 public:
  using Hostile<P>::Hostile;
  using Kind = P;
  static constexpr const char* kName = PALIMPSEST_KIND_EDITOR;
  template <typename Q>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_editor_v1 kTable = {&P::bare_apply};
    if (std::string_view(id) == PALIMPSEST_EDITOR_1) return &kTable;
    return sdk::Editor::interface_of<Q>(id);
  }

 protected:
  static void good(void* instance, palimpsest_model* model, const palimpsest_update_sink* sink) {
    const auto& self = sdk::detail::as<P>(instance);
    const auto* host = sdk::detail::host_of(instance);
    self.good_update(sdk::Model(host, model), sdk::Updates(host, sink));
  }
};

#define BARE(Name, id, summary, ...)                                                                             \
  class Name : public Bare<Name> {                                                                               \
   public:                                                                                                       \
    static constexpr sdk::Info kInfo{id, "1.0.0", summary};                                                      \
    using Bare::Bare;                                                                                            \
    static palimpsest_status bare_apply(void* instance, palimpsest_model* model, const palimpsest_edit_request*, \
                                        size_t, const palimpsest_update_sink* sink) {                            \
      good(instance, model, sink);                                                                               \
      __VA_ARGS__;                                                                                               \
    }                                                                                                            \
  }

BARE(Throws, "throws_std", "Throws a std::exception.", throw std::runtime_error("the parrot refuses"));
BARE(ThrowsInt, "throws_int", "Throws an int.", throw 42);
BARE(Silent, "silent_error", "Returns an error without a message.", return PALIMPSEST_UNSUPPORTED);
BARE(UnknownStatus, "unknown_status", "Returns a status that there is not.", return 4711);

}  // namespace

#define DESCRIPTOR(Name) &palimpsest::sdk::kDescriptor<Name>
PALIMPSEST_LIBRARY(DESCRIPTOR(WrongShape), DESCRIPTOR(NanUpdate), DESCRIPTOR(UnknownParameter), DESCRIPTOR(OtherLayer),
                   DESCRIPTOR(Embeddings), DESCRIPTOR(OtherMoment), DESCRIPTOR(Aborts), DESCRIPTOR(Segfaults),
                   DESCRIPTOR(Exits), DESCRIPTOR(Loops), DESCRIPTOR(Leaks), DESCRIPTOR(CreateFails),
                   DESCRIPTOR(CreateAborts), DESCRIPTOR(NeedsExits), DESCRIPTOR(Throws), DESCRIPTOR(ThrowsInt),
                   DESCRIPTOR(Silent), DESCRIPTOR(UnknownStatus))
