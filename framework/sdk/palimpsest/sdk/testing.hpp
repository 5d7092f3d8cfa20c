// A host for tests: the program's own runtime over a tiny model, so that a plugin's maths is tried in a second, without
// the program. Link palimpsest::testing.
//
//   sdk::testing::World world;
//   sdk::testing::Tested<MyEditor> editor(world, {.layer = 1});
//   const auto edit = editor.apply({{"The capital of {} is", "France", "Rome"}});
//
// The instance is made and called through the C contract, as the program does it, and every service answers as there.
// The model has random weights: what it says means nothing, that it says the same again does.
//
// Errors, a plugin's and a service's, are thrown as sdk::Error with their sentence. One thread at a time. A World must
// outlive what is made with it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::sdk::testing {

// A fact in full. `probes`: `split` is "teach", "test" or "".
struct FactText {
  std::string id = "fact";
  std::string relation = "relation";
  std::string subject;
  std::string prompt;  // template with one {}
  std::string target_new;
  std::string target_true;
  std::string role = "edited";
  std::string placebo;
  std::vector<std::string> aliases;
  std::vector<std::string> relation_targets;
  struct ProbeText {
    std::string kind, prompt, target, split;
  };
  std::vector<ProbeText> probes;
};

struct WorldOptions {
  // A Hugging Face folder; "": the tiny model of the installation (3 layers, hidden 32, mlp 64).
  std::string model = {};
  std::uint64_t seed = 7;  // of random streams and generation
};

class PALIMPSEST_EXPORT World {
 public:
  World();
  explicit World(const WorldOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // A host that belongs to no instance, for functions that take one.
  Host host() const;
  // The model with its current weights: those of the file, and every edit that was applied since.
  Model model() const;
  palimpsest_model_info info() const { return model().info(); }
  // Back to the weights of the file, without recorded updates.
  void forget_edits();

  // Adds a fact; it lives as long as the World.
  Fact add_fact(const FactText& text);
  std::vector<Fact> facts() const;

  // C of a layer: [mlp, mlp], symmetric positive definite. Where none was set it is diagonal, from 1 to 3.
  void set_second_moment(std::int64_t layer, const Tensor& matrix);
  // A file of text with the column `text`, for a task's parameter.
  std::string text_file() const;
  // Tells one state of all weights from another, bit for bit.
  std::string weights_digest() const;

 private:
  friend class Instance;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct Request {
  std::string prompt;  // template with one {}
  std::string subject;
  std::string target;
  palimpsest_prompt_origin origin = PALIMPSEST_PROMPT_OWN;
  // What the editor sees of the fact; requests with facts of one id are of one fact. None: a fact of the above alone.
  std::optional<FactText> fact = {};
};

struct Record {
  std::int64_t request;  // -1: of the whole call
  std::string name;
  std::int64_t step;  // -1: none
  double value;
};

struct Edit {
  std::vector<RecordedUpdate> updates;
  std::vector<Record> records;
  // The recorded value. Throws Error(PALIMPSEST_NOT_FOUND).
  double record(std::int64_t request, std::string_view name, std::int64_t step = -1) const {
    for (const Record& r : records) {
      if (r.request == request && r.name == name && r.step == step) return r.value;
    }
    fail(PALIMPSEST_NOT_FOUND, "no record ", name, " of request ", request, " at step ", step);
  }
};

// An editor's state, by name.
using State = std::map<std::string, Tensor>;

struct Row {
  std::int64_t fact;                    // index into World::facts(); -1: none
  std::map<std::string, Value> values;  // by column
};

struct Decision {
  std::string parameter;
  bool frozen;
  std::int64_t projections;
};

// An instance as the program makes it. Which functions apply follows from the kind; the others throw
// Error(PALIMPSEST_UNSUPPORTED).
class PALIMPSEST_EXPORT Instance {
 public:
  Instance(World& world, const palimpsest_descriptor& descriptor,
           const std::vector<palimpsest_parameter_value>& parameters);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // editor: into the World's model. A failed call leaves every weight as it was.
  Edit apply(const std::vector<Request>& requests);
  Needs needs() const;
  // editor with a state (StatefulEditor): back to what the constructor left; what it keeps; what another one kept.
  void reset();
  State save() const;
  void load(const State& state);
  // metric: of the World's facts, at a measuring point named `stage`.
  std::vector<Row> measure(std::string_view stage = "edited");
  // finetune-task
  void prepare();
  std::vector<Example> examples(palimpsest_split split);
  std::vector<Row> score();
  // augmenter
  std::vector<std::string> augment(const FactText& fact);
  // freeze-policy: one decision a parameter, given the recorded edits.
  std::vector<Decision> decide();

 protected:
  void* raw() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

namespace detail {

template <typename M>
palimpsest_parameter_value raw_value(const M& member) {
  palimpsest_parameter_value value{};
  value.present = 1;
  sdk::detail::Kind<M>::put(value, member);
  return value;
}
template <typename T>
palimpsest_parameter_value raw_value(const std::optional<T>& member) {
  return member ? raw_value(*member) : palimpsest_parameter_value{};
}
template <typename Parameters>
std::vector<palimpsest_parameter_value> raw_values(const Parameters& parameters) {
  return std::apply(
      [&](const auto&... fields) {
        return std::vector<palimpsest_parameter_value>{raw_value(parameters.*(fields.member))...};
      },
      Parameters::fields());
}

}  // namespace detail

// An instance of the class P, which is within reach.
template <typename P>
class Tested : public Instance {
 public:
  explicit Tested(World& world, const typename P::Parameters& parameters = {})
      : Instance(world, kDescriptor<P>, detail::raw_values(parameters)) {}
  P& operator*() const { return sdk::detail::as<P>(raw()); }
  P* operator->() const { return &**this; }
};

}  // namespace palimpsest::sdk::testing
