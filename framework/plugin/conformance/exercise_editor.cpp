// Editors on the tiny world: edits of single facts, and the state between them.
#include <ATen/core/Tensor.h>

#include <set>
#include <sstream>

#include "base/error.hpp"
#include "plugin/conformance/exercise_parts.hpp"

namespace palimpsest::conformance {
namespace {

class EditorExercise : public Of<plugin::Editor> {
 public:
  using Of::Of;

  std::string run() override { return run_fact(0); }

  std::string run_fact(std::size_t index) override {
    instance_.reset();
    palimpsest_model model = unedited();
    result_ = instance_.apply(model, requests(index));
    return text_of(result_);
  }

  // A second edit must do the same in the instance that did the first, and in one that was given its state.
  std::vector<std::string> state_violations() override {
    palimpsest_model model = unedited();
    instance_.reset();
    instance_.apply(model, requests(0));
    Open<plugin::Editor> other(instance_.plugin(), world_.session(),
                               plausible_values(*instance_.plugin().descriptor, world_.folder()));
    other.reset();
    if (other.has_state()) other.load(instance_.save());
    palimpsest_model same = model;
    if (text_of(instance_.apply(model, requests(1))) != text_of(other.apply(same, requests(1)))) {
      return {"a second edit gives something else in an instance that was given the state of the first"};
    }
    return {};
  }

  // After an edit that the host refused, at its first, middle or last word: the same state, and the same next edit.
  std::vector<std::string> failure_violations() override {
    if (!instance_.has_state()) return {};
    palimpsest_model model = unedited();
    instance_.reset();
    instance_.apply(model, requests(0));
    const std::string state = text_of(instance_.save());
    palimpsest_model undisturbed = model;
    const std::string next = text_of(instance_.apply(undisturbed, requests(1)));
    const int words = bare(model, 1, {}).sink_calls;
    if (words == 0) return {};
    for (const int refused : std::set<int>{1, (words + 1) / 2, words}) {
      palimpsest_model again = unedited();
      instance_.reset();
      instance_.apply(again, requests(0));
      bare(again, 1, {PALIMPSEST_CANCELLED, 0, refused});
      const std::string where = cat("after an edit whose result ", refused, " of ", words, " was refused ");
      if (text_of(instance_.save()) != state) return {where + "the state is another one"};
      if (text_of(instance_.apply(again, requests(1))) != next) return {where + "the next edit gives something else"};
    }
    return {};
  }

  std::vector<std::string> violations() override {
    run();
    const auto needs = instance_.needs(world_.info());
    std::vector<std::string> found;
    for (const auto& update : result_.updates) {
      const auto& info = world_.model().current.info(update.parameter);
      if (!needs.edits(info.layer)) {
        found.push_back(cat("the update of ", update.parameter, " is in a layer that needs did not name"));
      }
    }
    for (const std::int64_t layer : world_.moments_asked()) {
      if (!needs.reads_moment(layer)) {
        found.push_back(cat("the second moment of layer ", layer, " was asked for, which needs did not name"));
      }
    }
    return found;
  }

  Bare run_bare(palimpsest_status sink_status) override { return bare(world_.model(), 0, {sink_status}); }

 private:
  // Through the table, with sinks that count and commit nothing.
  Bare bare(palimpsest_model model, std::size_t fact, Bare asked) {
    const palimpsest_update_sink sink{
        &asked,
        [](void* context, palimpsest_text, palimpsest_tensor, palimpsest_tensor) {
          return count_call(bare_of(context));
        },
        [](void* context, palimpsest_text, palimpsest_tensor) { return count_call(bare_of(context)); },
        [](void* context, std::int64_t, palimpsest_text, std::int64_t, double) {
          return count_call(bare_of(context));
        }};
    std::vector<palimpsest_edit_request> raw;
    const auto list = requests(fact);
    for (const auto& r : list) {
      raw.push_back(
          {r.fact, plugin::text_of(r.prompt), plugin::text_of(r.subject), plugin::text_of(r.target), r.origin, 0});
    }
    asked.status = instance_.table<palimpsest_editor_v1>(PALIMPSEST_EDITOR_1)
                       .apply(instance_.raw(), &model, raw.data(), raw.size(), &sink);
    return asked;
  }

  palimpsest_model unedited() const {
    palimpsest_model model = world_.model();
    model.current = model.edited = model.base;
    model.updates.clear();
    return model;
  }

  static std::string text_of(const plugin::EditResult& result) {
    std::ostringstream out;
    out << std::hexfloat;
    for (const auto& update : result.updates) {
      out << update.parameter;
      for (const auto* tensor : {&update.u, &update.v, &update.dense}) {
        if (tensor->defined()) out << " " << text_of_tensor(*tensor);
      }
      out << "\n";
    }
    for (const auto& record : result.records) {
      out << record.request << " " << record.name << " " << record.step << " " << record.value << "\n";
    }
    return out.str();
  }

  static std::string text_of(const std::vector<plugin::NamedTensor>& state) {
    std::string all;
    for (const auto& [name, value] : state) all += name + " " + text_of_tensor(value) + "\n";
    return all;
  }

  std::vector<plugin::EditRequest> requests(std::size_t index) const {
    const palimpsest_fact* handle = world_.facts().at(index);
    const data::Fact& fact = *handle->fact;
    return {{handle, fact.prompt, fact.subject, fact.target_new, PALIMPSEST_PROMPT_OWN}};
  }
  plugin::EditResult result_;
};

}  // namespace

std::unique_ptr<Exercise> make_editor_exercise(const plugin::Plugin& plugin, TinyWorld& world) {
  return std::make_unique<EditorExercise>(plugin, world);
}

}  // namespace palimpsest::conformance
