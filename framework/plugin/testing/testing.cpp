// palimpsest::testing: the host's modules behind the header that authors include (palimpsest/sdk/testing.hpp).
#include "palimpsest/sdk/testing.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>

#include <deque>
#include <filesystem>
#include <utility>
#include <variant>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/dataset.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::sdk::testing {
namespace fs = std::filesystem;
namespace {

// The host's errors as the SDK's, which authors know.
template <typename Body>
auto translated(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const palimpsest::Error& error) {
    throw Error(static_cast<palimpsest_status>(error.code()), error.what());
  }
}

// share/palimpsest/tiny beside the folder of this library, in a build tree as in an installation.
fs::path tiny_folder() {
  static const int here = 0;
  Dl_info info{};
  if (::dladdr(&here, &info) == 0 || info.dli_fname == nullptr) {
    palimpsest::fail(ErrorCode::kInternal, "the library palimpsest_testing does not know where it lies");
  }
  const fs::path library = fs::canonical(info.dli_fname);
  const fs::path folder = library.parent_path().parent_path() / "share" / "palimpsest" / "tiny";
  if (!fs::exists(folder / "model" / "config.json")) {
    palimpsest::fail(ErrorCode::kNotFound, "the tiny model of ", library.string(), " is not in ", folder.string(),
                     "; expected an installation made by cmake --install, moved only as a whole");
  }
  return folder;
}

std::shared_ptr<const plugin::TextDataset> open_dataset(const plugin::DatasetRequest& request, std::uint64_t seed) {
  data::DatasetOptions options;
  options.source.columns = request.columns;
  options.filter.mode = data::FilterMode::kOff;
  options.validation_share = request.validation_share;
  options.seed = seed;
  const auto opened = data::Dataset::open(request.path, options, {});
  auto texts = std::make_shared<plugin::TextDataset>();
  const auto copy = [&](data::Split split, std::vector<std::vector<std::string>>& rows) {
    for (std::int64_t row = 0; row < opened.rows(split); ++row) {
      auto& columns = rows.emplace_back();
      for (const auto& column : request.columns) columns.emplace_back(opened.text(split, row, opened.column(column)));
    }
  };
  copy(data::Split::kTrain, texts->train);
  copy(data::Split::kValidation, texts->validation);
  return texts;
}

data::Fact host_fact(const FactText& text) {
  data::Fact fact;
  fact.id = text.id;
  fact.relation = text.relation;
  fact.subject = text.subject;
  fact.prompt = text.prompt;
  fact.target_new = text.target_new;
  fact.target_true = text.target_true;
  fact.aliases = text.aliases;
  for (const auto& p : text.probes) fact.probes.push_back({p.kind, p.prompt, p.target, p.split});
  return fact;
}

// A fact and its handle, in one place.
struct KeptFact {
  explicit KeptFact(const FactText& text) : fact(host_fact(text)) {
    handle.fact = &fact;
    handle.role = text.role;
    handle.placebo = text.placebo;
    handle.relation_targets = std::make_shared<const std::vector<std::string>>(text.relation_targets);
  }
  KeptFact(const KeptFact&) = delete;
  KeptFact& operator=(const KeptFact&) = delete;
  data::Fact fact;
  palimpsest_fact handle;
};

plugin::ParameterValue named_value(const palimpsest_parameter& parameter, const palimpsest_parameter_value& raw) {
  plugin::ParameterValue value;
  value.name = parameter.name;
  value.present = raw.present != 0;
  value.integer = raw.integer;
  value.number = raw.number;
  if (raw.text.data != nullptr) value.text = std::string(plugin::view(raw.text));
  switch (parameter.type) {
    case PALIMPSEST_PARAMETER_INTEGER_LIST: value.integers.assign(raw.integers, raw.integers + raw.count); break;
    case PALIMPSEST_PARAMETER_NUMBER_LIST: value.numbers.assign(raw.numbers, raw.numbers + raw.count); break;
    case PALIMPSEST_PARAMETER_STRING_LIST:
      for (std::size_t i = 0; i < raw.count; ++i) value.texts.emplace_back(plugin::view(raw.texts[i]));
      break;
    default: break;
  }
  return value;
}

Value author_value(const plugin::Column& column, const plugin::CellValue& value) {
  if (value.missing) return missing;
  switch (column.dtype) {
    case PALIMPSEST_BOOL: return value.integer != 0;
    case PALIMPSEST_INT64: return value.integer;
    case PALIMPSEST_TEXT: return value.text;
    default: return value.number;
  }
}

std::vector<Row> author_rows(const std::vector<plugin::Column>& columns, const std::vector<plugin::Row>& rows) {
  std::vector<Row> all;
  for (const auto& row : rows) {
    Row& made = all.emplace_back(Row{row.fact, {}});
    for (std::size_t i = 0; i < columns.size(); ++i)
      made.values[columns[i].name] = author_value(columns[i], row.values.at(i));
  }
  return all;
}

// A host class with its instance in the open.
template <typename Base>
struct Open : Base {
  using Base::Base;
  void* raw() const { return this->instance_; }
};

}  // namespace

// --- World ---

struct World::Impl {
  explicit Impl(const WorldOptions& options)
      : tiny(tiny_folder()),
        opened(model::open_model(options.model.empty() ? tiny / "model" : fs::path(options.model))) {
    if (opened.tokenizer == nullptr) {
      palimpsest::fail(ErrorCode::kNotFound, opened.folder.string(), " has no tokenizer.json");
    }
    session = std::make_shared<plugin::Session>();
    session->tokenizer = opened.tokenizer;
    session->seed = options.seed;
    session->cancelled = [] { return false; };
    session->open_dataset = [seed = options.seed](const plugin::DatasetRequest& r) { return open_dataset(r, seed); };
    session->get_or_compute = plugin::values_in_memory();
    session->second_moment = [this](std::int64_t layer) { return second_moment(layer); };
    current.opened = &opened;
    current.seed = options.seed;
    reset();
    context.session = session;
    context.kind = PALIMPSEST_KIND_METRIC;
    context.label = "test";
    context.host = {&context, PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR,
                    [](const palimpsest_host*, const char* service) { return plugin::find_service(service); }};
  }

  void reset() {
    current.base = current.edited = current.current = opened.parameters;
    current.updates.clear();
  }

  std::shared_ptr<const model::SecondMoment> second_moment(std::int64_t layer) {
    if (announced != nullptr) plugin::check_announced(*announced, layer);
    auto& moment = moments[layer];
    if (!moment) {
      const at::Tensor diagonal = at::linspace(1, 3, opened.config.mlp_width, at::kDouble);
      moment = std::make_shared<const model::SecondMoment>(1000 * at::diag(diagonal), 1000, layer);
    }
    return moment;
  }

  fs::path tiny;
  model::Model opened;
  std::shared_ptr<plugin::Session> session;
  palimpsest_model current;
  plugin::HostContext context;
  std::map<std::int64_t, std::shared_ptr<const model::SecondMoment>> moments;
  const plugin::EditorNeeds* announced = nullptr;  // of the editor that applies; none: any layer is served
  std::deque<KeptFact> facts;
};

World::World() : World(WorldOptions{}) {}
World::World(const WorldOptions& options) : impl_(translated([&] { return std::make_unique<Impl>(options); })) {}
World::~World() = default;

Host World::host() const { return Host(&impl_->context.host); }
Model World::model() const { return Model(&impl_->context.host, &impl_->current); }
void World::forget_edits() { impl_->reset(); }

Fact World::add_fact(const FactText& text) {
  return Fact(&impl_->context.host, &impl_->facts.emplace_back(text).handle);
}

std::vector<Fact> World::facts() const {
  std::vector<Fact> all;
  for (const auto& kept : impl_->facts) all.emplace_back(&impl_->context.host, &kept.handle);
  return all;
}

void World::set_second_moment(std::int64_t layer, const Tensor& matrix) {
  translated([&] {
    impl_->moments[layer] = std::make_shared<const model::SecondMoment>(
        plugin::tensor_of(matrix.get()).to(at::kDouble) * 1000, 1000, layer);
  });
}

std::string World::text_file() const { return (impl_->tiny / "text.jsonl").string(); }

std::string World::weights_digest() const {
  Sha256 hash;
  for (const auto* parameters : {&impl_->current.base, &impl_->current.edited, &impl_->current.current}) {
    for (std::size_t i = 0; i < parameters->size(); ++i) {
      const at::Tensor tensor = (*parameters)[i].contiguous();
      hash.field(std::string_view(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()));
    }
  }
  return hash.hex();
}

// --- Instance ---

struct Instance::Impl {
  using Any = std::variant<std::unique_ptr<Open<plugin::Editor>>, std::unique_ptr<Open<plugin::Metric>>,
                           std::unique_ptr<Open<plugin::Task>>, std::unique_ptr<Open<plugin::Augmenter>>,
                           std::unique_ptr<Open<plugin::FreezePolicy>>>;

  Impl(World::Impl& w, const palimpsest_descriptor& d, const std::vector<palimpsest_parameter_value>& raw)
      : world(&w), descriptor(&d) {
    plugin::check_descriptor(&d, "the class under test");
    for (std::size_t i = 0; i < d.parameter_count; ++i) values.push_back(named_value(d.parameters[i], raw.at(i)));
    const plugin::Plugin made{nullptr, &d};
    const std::string_view kind = d.kind;
    const auto make = [&]<typename T>() { any = std::make_unique<Open<T>>(made, w.session, values); };
    if (kind == PALIMPSEST_KIND_EDITOR) {
      make.operator()<plugin::Editor>();
    } else if (kind == PALIMPSEST_KIND_METRIC) {
      make.operator()<plugin::Metric>();
    } else if (kind == PALIMPSEST_KIND_FINETUNE_TASK) {
      make.operator()<plugin::Task>();
    } else if (kind == PALIMPSEST_KIND_AUGMENTER) {
      make.operator()<plugin::Augmenter>();
    } else {
      make.operator()<plugin::FreezePolicy>();
    }
  }

  template <typename T>
  T& as(const char* wanted) {
    auto* found = std::get_if<std::unique_ptr<Open<T>>>(&any);
    if (found == nullptr) {
      palimpsest::fail(ErrorCode::kUnsupported, descriptor->kind, " ", descriptor->id, " is no ", wanted);
    }
    return **found;
  }

  plugin::Editor& stateful() {
    auto& editor = as<plugin::Editor>("editor");
    if (!editor.has_state()) {
      palimpsest::fail(ErrorCode::kUnsupported, "editor ", descriptor->id, " has no state: it offers no ",
                       PALIMPSEST_EDITOR_STATE_1);
    }
    return editor;
  }

  // Of an editor; asked of another instance, as in a run.
  const plugin::EditorNeeds& needs() {
    if (!known_needs) {
      const plugin::Editor other(plugin::Plugin{nullptr, descriptor}, world->session, values);
      known_needs = other.needs(plugin::model_info_of(world->opened.config));
    }
    return *known_needs;
  }

  // With the second moments and the layers that the editor's needs name, and no others.
  plugin::EditResult applied(plugin::Editor& editor, const std::vector<plugin::EditRequest>& requests) {
    const palimpsest_model before = world->current;
    world->announced = &needs();
    try {
      plugin::EditResult result = editor.apply(world->current, requests);
      plugin::check_announced(needs(), result.updates, world->current.current, descriptor->id);
      world->announced = nullptr;
      return result;
    } catch (...) {
      world->announced = nullptr;
      world->current = before;
      throw;
    }
  }

  Tensor handle(const at::Tensor& tensor) const {
    if (!tensor.defined()) return {};
    return Tensor::adopt(&world->context.host, plugin::new_handle(tensor));
  }

  World::Impl* world;
  const palimpsest_descriptor* descriptor;
  Any any;
  std::vector<plugin::ParameterValue> values;
  std::optional<plugin::EditorNeeds> known_needs;
};

Instance::Instance(World& world, const palimpsest_descriptor& descriptor,
                   const std::vector<palimpsest_parameter_value>& parameters)
    : impl_(translated([&] { return std::make_unique<Impl>(*world.impl_, descriptor, parameters); })) {}
Instance::~Instance() = default;

void* Instance::raw() const {
  return std::visit([](const auto& made) { return made->raw(); }, impl_->any);
}

Edit Instance::apply(const std::vector<Request>& requests) {
  return translated([&] {
    auto& editor = impl_->as<plugin::Editor>("editor");
    std::deque<KeptFact> facts;
    std::vector<plugin::EditRequest> raw;
    std::map<std::string, const palimpsest_fact*> handles;
    for (const Request& r : requests) {
      FactText text;
      text.id = cat("request/", raw.size());
      text.subject = r.subject;
      text.prompt = r.prompt;
      text.target_new = r.target;
      if (r.fact) text = *r.fact;
      const auto [place, is_new] = handles.try_emplace(text.id, nullptr);
      if (is_new) place->second = &facts.emplace_back(text).handle;
      raw.push_back({place->second, r.prompt, r.subject, r.target, r.origin});
    }
    const plugin::EditResult result = impl_->applied(editor, raw);
    impl_->world->current.edited = impl_->world->current.current;
    Edit edit;
    for (const auto& u : result.updates) {
      edit.updates.push_back(
          {u.parameter, impl_->handle(u.u), impl_->handle(u.v), impl_->handle(u.dense), u.ordinal, u.facts});
    }
    for (const auto& r : result.records) edit.records.push_back({r.request, r.name, r.step, r.value});
    return edit;
  });
}

Needs Instance::needs() const {
  return translated([&] {
    impl_->as<plugin::Editor>("editor");
    const plugin::EditorNeeds& found = impl_->needs();
    Needs needs;
    needs.second_moments = found.second_moments;
    needs.edits_layers = found.edits_layers;
    needs.largest_batch = found.largest_batch;
    return needs;
  });
}

void Instance::reset() {
  translated([&] { impl_->stateful().reset(); });
}

State Instance::save() const {
  return translated([&] {
    State state;
    for (const auto& [name, value] : impl_->stateful().save()) {
      if (!state.emplace(name, impl_->handle(value)).second) {
        palimpsest::fail(ErrorCode::kInvalidArgument, impl_->descriptor->id, " saved two tensors named \"", name,
                         "\"; expected names that differ within a state");
      }
    }
    return state;
  });
}

void Instance::load(const State& state) {
  translated([&] {
    std::vector<plugin::NamedTensor> tensors;
    for (const auto& [name, value] : state) tensors.push_back({name, plugin::tensor_of(value.get())});
    impl_->stateful().load(tensors);
  });
}

std::vector<Row> Instance::measure(std::string_view stage) {
  return translated([&] {
    auto& metric = impl_->as<plugin::Metric>("metric");
    std::vector<const palimpsest_fact*> facts;
    for (const auto& kept : impl_->world->facts) facts.push_back(&kept.handle);
    const c10::NoGradGuard no_grad;  // as in a run
    const plugin::MeasuringPoint point{stage == "base" ? 0 : 1, std::string(stage), 0};
    return author_rows(metric.columns(), metric.measure(impl_->world->current, point, facts));
  });
}

void Instance::prepare() {
  translated([&] { impl_->as<plugin::Task>("finetune-task").prepare(impl_->world->current); });
}

std::vector<Example> Instance::examples(palimpsest_split split) {
  return translated([&] {
    auto& task = impl_->as<plugin::Task>("finetune-task");
    std::vector<Example> all;
    for (std::int64_t i = 0; i < task.count(split); ++i) {
      plugin::Example example = task.example(split, i);
      all.push_back({std::move(example.token_ids), std::move(example.labels)});
    }
    return all;
  });
}

std::vector<Row> Instance::score() {
  return translated([&] {
    const c10::NoGradGuard no_grad;  // as in a run
    auto& task = impl_->as<plugin::Task>("finetune-task");
    return author_rows(task.score_columns(), task.score(impl_->world->current));
  });
}

std::vector<std::string> Instance::augment(const FactText& fact) {
  return translated([&] {
    const KeptFact kept(fact);
    return impl_->as<plugin::Augmenter>("augmenter").augment(impl_->world->current, kept.handle).prompts;
  });
}

std::vector<Decision> Instance::decide() {
  return translated([&] {
    const auto decisions = impl_->as<plugin::FreezePolicy>("freeze-policy").decide(impl_->world->current);
    const auto& infos = impl_->world->current.current.infos();
    std::vector<Decision> all;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      all.push_back({infos[i].name, decisions[i].frozen, static_cast<std::int64_t>(decisions[i].projections.size())});
    }
    return all;
  });
}

}  // namespace palimpsest::sdk::testing
