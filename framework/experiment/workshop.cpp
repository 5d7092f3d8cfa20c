#include "experiment/workshop.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "experiment/moments.hpp"
#include "experiment/plugin_value.hpp"
#include "experiment/supervisor_worker.hpp"

namespace palimpsest::experiment {
namespace {

at::ScalarType dtype_of(const std::string& name) { return name == "bfloat16" ? at::kBFloat16 : at::kFloat; }

std::vector<std::vector<std::string>> rows_of(const data::Dataset& dataset, data::Split split,
                                              const std::vector<std::string>& columns) {
  std::vector<std::vector<std::string>> rows;
  for (std::int64_t row = 0; row < dataset.rows(split); ++row) {
    std::vector<std::string>& texts = rows.emplace_back();
    for (const auto& column : columns) texts.emplace_back(dataset.text(split, row, dataset.column(column)));
  }
  return rows;
}

}  // namespace

Workshop::Workshop(const Plan& plan, const PlanNode& node, const Environment& environment)
    : plan_(&plan), node_(&node), environment_(&environment) {}

const model::Model& Workshop::model() {
  if (!model_) {
    const config::ModelSection& m = experiment().model;
    const std::string& device = environment_->device.empty() ? m.device : environment_->device;
    model_ = model::open_model(m.path.path,
                               {.dtype = dtype_of(m.dtype), .device = at::Device(device), .check_finite = false});
    if (!model_->tokenizer) fail(ErrorCode::kNotFound, m.path.given, " has no tokenizer.json");
  }
  return *model_;
}

const std::vector<data::Fact>& Workshop::facts() {
  if (!facts_) facts_ = load_considered_facts(experiment(), model());
  return *facts_;
}

std::filesystem::path Workshop::stored(const PlanNode& node) {
  const auto folder = environment_->store->find(store_kind(node.kind), node.key);
  if (!folder) fail(ErrorCode::kInternal, "the result of \"", node.label, "\" is not in the store");
  return *folder;
}

std::optional<std::filesystem::path> Workshop::find_below(NodeKind kind) {
  for (const auto& id : node_->below) {
    const PlanNode& node = plan_->find(id);
    if (node.kind == kind) return stored(node);
  }
  return std::nullopt;
}

std::filesystem::path Workshop::below(NodeKind kind) {
  const auto folder = find_below(kind);
  if (!folder) fail(ErrorCode::kInternal, "\"", node_->label, "\" has no ", name_of(kind), " below it");
  return *folder;
}

const std::vector<Knowledge>& Workshop::knowledge() {
  if (!knowledge_) knowledge_ = load_knowledge(below(NodeKind::kKnowledge));
  return *knowledge_;
}

Roles Workshop::roles() {
  Roles roles = load_roles(below(NodeKind::kRoles));
  return experiment().edit.target == "true" ? without_written_answers(std::move(roles), facts()) : roles;
}

State Workshop::entering() {
  const auto folder = find_below(NodeKind::kStage);
  return folder ? load_state(*folder, model()) : base_state(model());
}

std::vector<data::FilterFact> Workshop::all_facts() {
  std::map<std::int64_t, data::FilterFact> union_of_roles;
  for (const auto& id : plan_->roles()) {
    const Roles roles = load_roles(stored(plan_->find(id)));
    for (const auto i : roles.edited) union_of_roles[i].edited = true;
    for (const auto i : roles.intrinsic) union_of_roles[i].intrinsic = true;
  }
  std::vector<data::FilterFact> all;
  for (auto& [index, fact] : union_of_roles) {
    fact.fact = &facts()[static_cast<std::size_t>(index)];
    all.push_back(fact);
  }
  return all;
}

std::shared_ptr<const plugin::TextDataset> Workshop::open_dataset(const plugin::DatasetRequest& request) {
  const bool shared = request.filter || request.validation_share > 0;  // follows from the whole experiment
  const bool edits =
      node_->kind == NodeKind::kStage && stage_to(experiment(), node_->place) == config::StageKind::kEdit;
  if (edits && shared) {
    fail(ErrorCode::kUnsupported, request.path,
         " is opened with the irrelevance filter or a held-out sample by an editor or an augmenter, whose edits would "
         "then follow from every fact of the experiment; expected the file to be opened whole");
  }
  if (node_->kind == NodeKind::kMeasure && shared && !metrics_read_as_tasks(experiment())) {
    fail(ErrorCode::kUnsupported, request.path,
         " is opened by a metric with the irrelevance filter or a held-out sample, and no metric of the experiment has "
         "the parameters \"filter\" and \"validation_share\" by which its measurements are known to follow from them; "
         "expected a metric that declares both (sdk::dataset_fields), or one that opens the file whole");
  }
  data::DatasetOptions options;
  options.source.columns = request.columns;
  options.filter.mode = request.filter ? data::filter_mode(experiment().filter.mode) : data::FilterMode::kOff;
  options.filter.targets_of_intrinsic = experiment().filter.targets_of_intrinsic;
  options.validation_share = request.validation_share;
  // One held-out sample for all cells: what is compared is compared on the same text.
  options.seed = static_cast<std::uint64_t>(experiment().experiment.seed);
  // Unfiltered data needs no facts, and may be wanted before the roles are drawn.
  const auto dataset =
      data::Dataset::open(request.path, options, request.filter ? all_facts() : std::vector<data::FilterFact>());
  if (options.filter.mode != data::FilterMode::kOff) warn_of_unmatchable(dataset.unmatchable());
  OpenedData opened{std::filesystem::path(request.path).filename().string(), dataset.file_sha256(), dataset.digest(),
                    dataset.counts()};
  // A metric opens its file at every measuring point.
  const bool known = std::any_of(opened_->begin(), opened_->end(), [&](const OpenedData& other) {
    return other.path == opened.path && other.digest == opened.digest;
  });
  if (!known) opened_->push_back(std::move(opened));
  auto texts = std::make_shared<plugin::TextDataset>();
  texts->train = rows_of(dataset, data::Split::kTrain, request.columns);
  texts->validation = rows_of(dataset, data::Split::kValidation, request.columns);
  return texts;
}

void Workshop::warn_of_unmatchable(const std::vector<data::Unmatchable>& texts) {
  if (texts.empty() || std::exchange(warned_of_unmatchable_, true)) return;
  const auto shown = [](const data::Unmatchable& it) { return cat(in_quotes(it.text), " of the fact ", it.fact); };
  log::warning(
      cat("the irrelevance filter searches by words and cannot find texts without one: ", list_text(texts, shown),
          "; rows of the data that hold them count as having nothing to do with the fact"));
}

std::shared_ptr<const plugin::Session> Workshop::session() {
  if (session_) return session_;
  session_ = std::make_shared<plugin::Session>();
  session_->tokenizer = model().tokenizer;
  session_->seed = cell().seed;
  heed_stop_requests();
  session_->cancelled = stop_requested;
  session_->open_dataset = [this](const plugin::DatasetRequest& request) { return open_dataset(request); };
  auto moments = std::make_shared<std::map<std::int64_t, std::shared_ptr<const model::SecondMoment>>>();
  session_->second_moment = [this, moments](std::int64_t layer) {
    plugin::check_announced(plan_->needs(node_->cell), layer);
    auto& known = (*moments)[layer];
    if (!known) {
      KeyMaker keys = environment_->keys();
      const auto folder =
          environment_->store->find(store_kind(NodeKind::kSecondMoments), keys.second_moment(experiment(), layer));
      if (!folder) {
        fail(ErrorCode::kInternal, "the second moment of layer ", layer, " is not in the store");
      }
      known = std::make_shared<const model::SecondMoment>(load_moment(*folder, layer));
    }
    return known;
  };
  session_->get_or_compute = [this](const plugin::StoreKey& own, bool with_moments,
                                    const std::function<plugin::StoreEntry()>& compute) {
    KeyMaker keys = environment_->keys();
    return stored_value(*environment_->store, keys.plugin_value(experiment(), own, with_moments), compute);
  };
  return session_;
}

void Workshop::record_data(StageRecord& record) const {
  for (const auto& data : *opened_) {
    auto& table = record.table(
        "/data", "a file that a task or the host opened, with what the irrelevance filter did",
        {text_column("file", "name of the file"), text_column("sha256", "of the file"),
         text_column("digest", "of the rows that were kept and their split"),
         integer_column("read", "rows", "rows of the file"),
         integer_column("dropped", "rows", "rows that the filter dropped"),
         integer_column("train", "rows", "rows to train on"), integer_column("validation", "rows", "rows held out"),
         integer_column("hits_subject", "rows", "rows with a subject of a fact"),
         integer_column("hits_alias", "rows", "rows with an alias"),
         integer_column("hits_edited_target", "rows", "rows with a target of an edited fact"),
         integer_column("hits_intrinsic_target", "rows", "rows with a target of an intrinsic fact"),
         integer_column("hits_prompt_phrase", "rows", "rows with three consecutive words of a prompt")});
    const auto& c = data.counts;
    table.append_row({data.path, data.sha256, data.digest, c.read, c.dropped, c.train, c.validation, c.hits[0],
                      c.hits[1], c.hits[2], c.hits[3], c.hits[4]});
  }
}

}  // namespace palimpsest::experiment
