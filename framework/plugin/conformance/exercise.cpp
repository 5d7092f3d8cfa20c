#include "plugin/conformance/exercise.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "plugin/conformance/exercise_parts.hpp"

namespace palimpsest::conformance {
namespace {

std::string text_of_rows(const std::vector<plugin::Column>& columns, const std::vector<plugin::Row>& rows) {
  std::ostringstream out;
  out << std::hexfloat;
  for (const auto& row : rows) {
    out << row.fact << ":";
    for (std::size_t i = 0; i < row.values.size(); ++i) {
      const auto& value = row.values[i];
      out << " " << columns[i].name << "=";
      if (value.missing) {
        out << "missing";
      } else if (columns[i].dtype == PALIMPSEST_FLOAT64) {
        out << value.number;
      } else if (columns[i].dtype == PALIMPSEST_TEXT) {
        out << '"' << value.text << '"';
      } else {
        out << value.integer;
      }
    }
    out << "\n";
  }
  return out.str();
}

void check_rows(const std::vector<plugin::Column>& columns, const std::vector<plugin::Row>& rows,
                std::vector<std::string>& found) {
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto& value = row.values.at(i);
      if (columns[i].dtype == PALIMPSEST_BOOL && !value.missing && value.integer != 0 && value.integer != 1) {
        found.push_back(cat("column ", columns[i].name, " is BOOL and holds ", value.integer));
      }
    }
  }
  if (rows.empty()) found.emplace_back("no row was emitted");
}

class MetricExercise : public Of<plugin::Metric> {
 public:
  using Of::Of;
  std::vector<plugin::Column> columns() const override { return instance_.columns(); }
  std::string run() override { return text_of_rows(columns(), measure()); }

  std::vector<std::string> violations() override {
    std::vector<std::string> found;
    check_rows(columns(), measure(), found);
    const std::uint32_t when = instance_.when();
    if (when == 0 || (when & ~std::uint32_t{PALIMPSEST_WHEN_ALWAYS}) != 0) {
      found.push_back(cat("when gives ", when, "; expected an or of PALIMPSEST_WHEN_*"));
    }
    return found;
  }

  Bare run_bare(palimpsest_status sink_status) override {
    Bare bare{sink_status};
    const palimpsest_row_sink sink{&bare, [](void* context, std::int64_t, const palimpsest_cell_value*, std::size_t) {
                                     return count_call(bare_of(context));
                                   }};
    const auto& facts = world_.facts();
    const palimpsest_measure_request request{
        &world_.model(), 1, plugin::text_of("edited"), 0, facts.data(), facts.size(), 0, 0};
    const palimpsest_status status =
        instance_.table<palimpsest_metric_v1>(PALIMPSEST_METRIC_1).measure(instance_.raw(), &request, &sink);
    bare.status = status;
    return bare;
  }

 private:
  // Without gradients, as in a run.
  std::vector<plugin::Row> measure() {
    const c10::NoGradGuard no_grad;
    return instance_.measure(world_.model(), {1, "edited", 0}, world_.facts());
  }
};

class TaskExercise : public Of<plugin::Task> {
 public:
  TaskExercise(const plugin::Plugin& plugin, TinyWorld& world) : Of(plugin, world) { instance_.prepare(world.model()); }
  std::vector<plugin::Column> columns() const override { return instance_.score_columns(); }

  std::string run() override {
    std::ostringstream out;
    out << instance_.batching() << "\n";
    for (const palimpsest_split split : {PALIMPSEST_TRAIN, PALIMPSEST_VALIDATION}) {
      for (std::int64_t i = 0; i < instance_.count(split); ++i) {
        const plugin::Example example = instance_.example(split, i);
        for (const auto id : example.token_ids) out << id << " ";
        for (const auto label : example.labels) out << label << " ";
        out << "\n";
      }
    }
    out << std::hexfloat;
    if (instance_.has_loss()) out << own_loss(world_.model(), true).item<double>() << "\n";
    return out.str() + text_of_rows(columns(), score());
  }

  std::vector<std::string> violations() override {
    std::vector<std::string> found;
    if (instance_.has_loss()) check_loss(found);
    const std::int64_t vocabulary = world_.info().vocabulary;
    for (const palimpsest_split split : {PALIMPSEST_TRAIN, PALIMPSEST_VALIDATION}) {
      if (instance_.count(split) < 1) found.push_back(cat("split ", split, " is empty"));
      for (std::int64_t i = 0; i < instance_.count(split); ++i) {
        const plugin::Example example = instance_.example(split, i);
        const auto outside = [&](std::int64_t id) { return id < 0 || id >= vocabulary; };
        const bool ids = std::any_of(example.token_ids.begin(), example.token_ids.end(), outside);
        const bool labels = std::any_of(example.labels.begin(), example.labels.end(),
                                        [&](std::int64_t label) { return label != -100 && outside(label); });
        if (ids || labels)
          found.push_back(cat("example ", i, " of split ", split, " has an id outside the vocabulary"));
      }
      try {
        instance_.example(split, instance_.count(split));
        found.emplace_back("an example behind the last one is no error");
      } catch (const Error&) {
        continue;
      }
    }
    check_rows(columns(), score(), found);
    return found;
  }

  Bare run_bare(palimpsest_status sink_status) override {
    Bare bare{sink_status};
    const palimpsest_row_sink sink{&bare, [](void* context, std::int64_t, const palimpsest_cell_value*, std::size_t) {
                                     return count_call(bare_of(context));
                                   }};
    const palimpsest_status status = instance_.table<palimpsest_finetune_task_v1>(PALIMPSEST_FINETUNE_TASK_1)
                                         .score(instance_.raw(), &world_.model(), &sink);
    bare.status = status;
    return bare;
  }

 private:
  // Without gradients, as in a run.
  std::vector<plugin::Row> score() {
    const c10::NoGradGuard no_grad;
    return instance_.score(world_.model());
  }
  // The loss of the first training examples, the reference having been the model itself.
  at::Tensor own_loss(palimpsest_model& model, bool with_graph) {
    instance_.prepare_loss(world_.model());
    const std::vector<std::int64_t> examples = {0, 1};
    const c10::AutoGradMode grad_mode(with_graph);
    palimpsest_model tuned = model;
    if (with_graph) tuned.current = requiring_grad(model.current);
    return instance_.loss(tuned, PALIMPSEST_TRAIN, examples);
  }

  static model::Parameters requiring_grad(const model::Parameters& weights) {
    std::vector<at::Tensor> tensors;
    for (std::size_t i = 0; i < weights.size(); ++i) tensors.push_back(weights[i].clone().requires_grad_(true));
    return model::Parameters(weights.infos(), std::move(tensors));
  }

  // Without grad mode the same number, and no graph; a mean over examples; an example that is none is an error.
  void check_loss(std::vector<std::string>& found) {
    const at::Tensor loss = own_loss(world_.model(), true), plain = own_loss(world_.model(), false);
    if (!at::isfinite(loss).item<bool>()) found.emplace_back("the loss is not finite");
    if (plain.requires_grad()) found.emplace_back("the loss has a graph where grad mode is off");
    if (plain.item<double>() != loss.item<double>()) found.emplace_back("the loss is another one without grad mode");
    const c10::NoGradGuard no_grad;
    const auto of = [&](const std::vector<std::int64_t>& examples) {
      return instance_.loss(world_.model(), PALIMPSEST_TRAIN, examples).item<double>();
    };
    const double mean = (of({0}) + of({1})) / 2;
    if (std::abs(of({0, 1}) - mean) > 1e-4 * std::abs(mean)) {
      found.emplace_back("the loss of two examples is not the mean of theirs");
    }
    try {
      of({instance_.count(PALIMPSEST_TRAIN)});
      found.emplace_back("the loss of an example behind the last one is no error");
    } catch (const Error&) {
      return;
    }
  }
};

class AugmenterExercise : public Of<plugin::Augmenter> {
 public:
  using Of::Of;
  std::string run() override {
    std::string all;
    for (std::size_t i = 0; i < world_.facts().size(); ++i) all += run_fact(i);
    return all;
  }
  std::string run_fact(std::size_t index) override {
    const plugin::Augmentation made = instance_.augment(world_.model(), *world_.facts().at(index));
    std::string all;
    for (const auto& prompt : made.prompts) all += prompt + "\n";
    for (const auto& record : made.records) all += cat(record.name, " ", record.value, "\n");
    return all;
  }
  // The host's class has refused what is no template and what tests.
  std::vector<std::string> violations() override {
    run();
    return {};
  }
  Bare run_bare(palimpsest_status sink_status) override {
    Bare bare{sink_status};
    const palimpsest_prompt_sink sink{
        &bare, [](void* context, palimpsest_text) { return count_call(bare_of(context)); },
        [](void* context, palimpsest_text, double) { return count_call(bare_of(context)); }};
    const palimpsest_status status = instance_.table<palimpsest_augmenter_v1>(PALIMPSEST_AUGMENTER_1)
                                         .augment(instance_.raw(), &world_.model(), world_.facts().front(), &sink);
    bare.status = status;
    return bare;
  }
};

class FreezePolicyExercise : public Of<plugin::FreezePolicy> {
 public:
  using Of::Of;
  std::string run() override {
    std::ostringstream out;
    for (const auto& decision : instance_.decide(world_.model())) {
      out << decision.frozen;
      for (const auto& projection : decision.projections) out << projection.side << text_of_tensor(projection.basis);
      out << "\n";
    }
    return out.str();
  }

  std::vector<std::string> violations() override {
    std::vector<std::string> found;
    const auto decisions = instance_.decide(world_.model());
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      if (decisions[i].frozen && !decisions[i].projections.empty()) {
        found.push_back(cat(world_.model().current.infos()[i].name, " is frozen and projected"));
      }
    }
    // Without an edit: the same kind of answer, or an error; never silently nothing after something.
    TinyWorld unedited(world_.folder(), false);
    const auto frozen = [](const auto& d) { return d.frozen || !d.projections.empty(); };
    const bool some = std::any_of(decisions.begin(), decisions.end(), frozen);
    try {
      const auto without = instance_.decide(unedited.model());
      if (some && std::none_of(without.begin(), without.end(), frozen)) {
        found.emplace_back("an unedited model silently gets nothing frozen, an edited one something");
      }
    } catch (const Error&) {
      return found;
    }
    return found;
  }

  Bare run_bare(palimpsest_status sink_status) override {
    Bare bare{sink_status};
    const palimpsest_freeze_sink sink{
        &bare, [](void* context, std::size_t) { return count_call(bare_of(context)); },
        [](void* context, std::size_t, palimpsest_side, palimpsest_tensor) { return count_call(bare_of(context)); }};
    std::vector<palimpsest_parameter_info> parameters;
    for (const auto& info : world_.model().current.infos()) {
      parameters.push_back({plugin::text_of(info.name), plugin::text_of(model::name_of(info.role)), info.layer,
                            info.shape[0], info.shape.size() > 1 ? info.shape[1] : 1, 0, 0});
    }
    model::Update& update = world_.model().updates.front();
    const palimpsest_recorded_update recorded{plugin::text_of(update.parameter), update.rank(),
                                              reinterpret_cast<palimpsest_tensor>(&update.u),
                                              reinterpret_cast<palimpsest_tensor>(&update.v), nullptr};
    const palimpsest_model_info info = world_.info();
    const palimpsest_status status =
        instance_.table<palimpsest_freeze_policy_v1>(PALIMPSEST_FREEZE_POLICY_1)
            .decide(instance_.raw(), &info, parameters.data(), parameters.size(), &recorded, 1, &sink);
    bare.status = status;
    return bare;
  }
};

}  // namespace

std::string text_of_tensor(const at::Tensor& tensor) {
  std::ostringstream out;
  out << std::hexfloat << tensor.sizes();
  const at::Tensor numbers = tensor.to(at::kDouble).contiguous();
  for (std::int64_t i = 0; i < numbers.numel(); ++i) out << " " << numbers.const_data_ptr<double>()[i];
  return out.str();
}

std::unique_ptr<Exercise> make_exercise(const plugin::Plugin& plugin, TinyWorld& world) {
  const std::string_view kind = plugin.descriptor->kind;
  if (kind == PALIMPSEST_KIND_EDITOR) return make_editor_exercise(plugin, world);
  if (kind == PALIMPSEST_KIND_METRIC) return std::make_unique<MetricExercise>(plugin, world);
  if (kind == PALIMPSEST_KIND_FINETUNE_TASK) return std::make_unique<TaskExercise>(plugin, world);
  if (kind == PALIMPSEST_KIND_AUGMENTER) return std::make_unique<AugmenterExercise>(plugin, world);
  return std::make_unique<FreezePolicyExercise>(plugin, world);
}

}  // namespace palimpsest::conformance
