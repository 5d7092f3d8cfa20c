#include "experiment/cell_file.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "commit.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "results/provenance.hpp"
#include "results/writer.hpp"

namespace palimpsest::experiment {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::string attribute_name(const std::string& dotted) {
  std::string name = "at_" + dotted;
  for (char& c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) c = '_';
  }
  return name;
}

results::Column texts(std::string name, std::string definition, std::string value) {
  return {std::move(name), "", std::move(definition), std::vector<std::string>{std::move(value)}};
}
results::Column count(std::string name, std::string unit, std::string definition, std::int64_t value) {
  return {std::move(name), std::move(unit), std::move(definition), std::vector<std::int64_t>{value}};
}
results::Column number(std::string name, std::string unit, std::string definition, double value) {
  return {std::move(name), std::move(unit), std::move(definition), std::vector<double>{value}};
}

// Of the cell's last fine-tuning. In scope isolated over its models: the most steps and tokens, mean losses, the reason
// where it is one for all, and what is trained in any of them.
struct CellDose {
  bool tuned = false;
  std::int64_t steps = 0, tokens = 0;
  double before = kNone, after = kNone;
  std::string stop, trained_weights;
};

CellDose dose_of(const StageRecord& record) {
  CellDose dose;
  for (const auto& table : record.tables()) {
    if (table.name != "/dose" || table.rows() == 0) continue;
    const auto& ordinals = table.values<std::int64_t>("ordinal");
    const std::int64_t last = *std::max_element(ordinals.begin(), ordinals.end());
    double before = 0, after = 0;
    std::int64_t n = 0;
    std::set<std::string> trained;
    for (std::size_t i = 0; i < table.rows(); ++i) {
      if (ordinals[i] != last) continue;
      ++n;
      before += table.values<double>("validation_loss_before")[i];
      after += table.values<double>("validation_loss_after")[i];
      dose.steps = std::max(dose.steps, table.values<std::int64_t>("steps")[i]);
      dose.tokens = std::max(dose.tokens, table.values<std::int64_t>("tokens")[i]);
      const auto& stop = table.values<std::string>("stop_reason")[i];
      if (n == 1) dose.stop = stop;
      if (dose.stop != stop) dose.stop = "various";
      trained.insert(table.values<std::string>("trained_weights")[i]);
    }
    std::string all;
    for (const auto& one : trained) all += one;
    dose.trained_weights = trained.size() == 1 ? all : sha256_hex(all);
    dose.tuned = true;
    dose.before = before / static_cast<double>(n);
    dose.after = after / static_cast<double>(n);
  }
  return dose;
}

results::Table cells_table(const config::Cell& cell, bool unedited, const Roles& roles, const StageRecord& record) {
  const config::Experiment& e = cell.experiment;
  const CellDose dose = dose_of(record);
  std::string variant;
  for (const auto& [key, value] : cell.coordinates) {
    if (key == "variant") variant = value;
  }
  results::Table table{"/cells", "one cell of the experiment", {}};
  table.columns = {
      texts("cell", "name of the cell", cell.name),
      texts("variant", "name of the sweep's variant; empty without variants", variant),
      count("replicate", "1", "number of the replicate", cell.replicate),
      {"swapped", "1", "the lot of the paired replicate with its roles exchanged",
       std::vector<results::Bool>{results::Bool(cell.swapped)}},
      count("seed", "1", "of the cell's random streams", static_cast<std::int64_t>(cell.seed)),
      texts("editor", "id of the editor; empty without a stage that edits", e.editor.id),
      {"unedited", "1", "nothing is edited: no stage edits, or the editor says that it edits nothing",
       std::vector<results::Bool>{results::Bool(unedited)}},
      texts("augmenter", "id of the augmenter", e.augmenter.id),
      texts("task", "id of the fine-tuning task; empty without fine-tuning", e.task.id),
      texts("freeze_policy", "id of the freeze policy", e.freeze_policy.id),
      texts("tuning", "method of fine-tuning: full, lora or dora", e.tuning.method),
      texts("scope", "isolated, sequential or batch", e.edit.scope),
      texts("model", "the model, as the configuration names it", e.model.path.given),
      texts("facts", "the facts' file, as the configuration names it", e.facts.file.given),
      count("edited", "fact", "edited facts", static_cast<std::int64_t>(roles.edited.size())),
      count("intrinsic", "fact", "intrinsic facts", static_cast<std::int64_t>(roles.intrinsic.size())),
      count("unmatched", "fact", "edited facts that found fewer controls within the caliper than wanted",
            roles.unmatched),
      {"tuned", "1", "the cell has a fine-tuning stage", std::vector<results::Bool>{results::Bool(dose.tuned)}},
      texts("trained_weights",
            "digest of which weights the last fine-tuning changes and how; empty without fine-tuning",
            dose.trained_weights),
      count("steps", "optimiser step", "of the last fine-tuning; in scope isolated the most of its models", dose.steps),
      count("tokens_trained", "token", "of the last fine-tuning; in scope isolated the most of its models",
            dose.tokens),
      number("validation_loss_before", "nat/token",
             "on the task's held-out sample before the last fine-tuning, in scope isolated the mean over its models; "
             "nat per example of a task with a loss of its own",
             dose.before),
      number("validation_loss_after", "nat/token", "on the task's held-out sample after it; the same", dose.after),
      texts("stop_reason", "why the last fine-tuning ended; various: not all models of scope isolated for one reason",
            dose.stop)};
  for (const auto& [key, value] : cell.coordinates) {
    if (key != "variant") table.columns.push_back(texts(attribute_name(key), "value of the swept key " + key, value));
  }
  return table;
}

results::Table facts_table(Workshop& workshop, const Roles& roles) {
  results::Table table{"/facts", "one fact of the cell", {}};
  table.columns = {
      text_column("cell", "name of the cell"),
      integer_column("replicate", "1", "number of the replicate"),
      text_column("fact", "id of the fact"),
      text_column("role", "edited or intrinsic"),
      text_column("relation", "of the fact"),
      text_column("subject", "of the fact"),
      text_column("prompt", "template with {} where the subject stands"),
      text_column("target_new", "the answer that an edit writes"),
      text_column("target_true", "the true answer; empty where unknown"),
      text_column("placebo", "a seeded random other target of the relation"),
      number_column("probability_base", "1", "of target_true under the unedited model"),
      number_column("margin_base", "nat", "log p of target_true's first token minus the best other's, unedited model")};
  const Cast cast(workshop.facts(), roles, workshop.experiment().edit);
  std::vector<std::int64_t> order = roles.edited;
  order.insert(order.end(), roles.intrinsic.begin(), roles.intrinsic.end());
  const auto shown = cast.view();
  for (std::size_t i = 0; i < order.size(); ++i) {
    const data::Fact& fact = *shown[i]->fact;
    const Knowledge& k = workshop.knowledge()[static_cast<std::size_t>(order[i])];
    table.append_row({workshop.cell().name, workshop.cell().replicate, fact.id, shown[i]->role, fact.relation,
                      fact.subject, fact.prompt, fact.target_new, fact.target_true, shown[i]->placebo, k.probability,
                      k.truth.margin});
  }
  return table;
}

// Low-rank factors as arrays; a dense update only up to what a results file takes, else its digest alone.
class UpdateWriter {
 public:
  UpdateWriter(const config::Cell& cell, results::Writer& writer) : cell_(&cell), writer_(&writer) {
    table_ = {"/updates/index", "one recorded update of an edit", {}};
    table_.columns = {
        text_column("cell", "name of the cell"),
        integer_column("replicate", "1", "number of the replicate"),
        text_column("edit", "id of the isolated fact; empty in the other scopes"),
        integer_column("ordinal", "1", "place of the stage that edited in the cell's list"),
        integer_column("order", "1", "place among the updates of the model"),
        text_column("parameter", "canonical name"),
        integer_column("rank", "1", "of U V^T; 0 for a dense update"),
        number_column("norm", "1", "Frobenius norm of the update"),
        text_column("data",
                    "group below /updates/data with u and v, or dense; sha256 of a dense one that is too large")};
    requests_ = {"/updates/requests", "one edit request of the editor's call that made a recorded update", {}};
    requests_.columns = {
        text_column("cell", "name of the cell"),
        integer_column("replicate", "1", "number of the replicate"),
        text_column("edit", "id of the isolated fact; empty in the other scopes"),
        integer_column("order", "1", "of the update, as in /updates/index"),
        integer_column(
            "request", "1",
            "place in the call; column i of u and v is the share of request i where there are as many columns "
            "as requests, else of the i-th fact where there are as many as facts, else of all together"),
        text_column("fact", "id of the request's fact")};
  }

  void add(const std::string& edit, const std::vector<model::Update>& updates) {
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const model::Update& u = updates[i];
      std::string place = cat("/updates/data/", cell_->name, "/", number_++);
      if (u.u.defined()) {
        array(place + "/u", u.u);
        array(place + "/v", u.v);
      } else if (static_cast<std::size_t>(u.dense.nbytes()) <= results::kMaxArrayBytes) {
        array(place + "/dense", u.dense);
      } else {
        Sha256 hash;
        hash.update(u.dense.const_data_ptr(), static_cast<std::size_t>(u.dense.nbytes()));
        place = "sha256:" + hash.hex();
      }
      const auto order = static_cast<std::int64_t>(i);
      table_.append_row(
          {cell_->name, cell_->replicate, edit, u.ordinal, order, u.parameter, u.rank(), u.norm(), place});
      for (std::size_t r = 0; r < u.facts.size(); ++r) {
        requests_.append_row({cell_->name, cell_->replicate, edit, order, static_cast<std::int64_t>(r), u.facts[r]});
      }
    }
  }
  void write() const {
    if (table_.rows() == 0) return;
    writer_->table(table_);
    writer_->table(requests_);
  }

 private:
  void array(const std::string& path, const at::Tensor& tensor) {
    const at::Tensor t = tensor.contiguous();
    writer_->array(path, t.sizes().vec(), std::span(t.const_data_ptr<float>(), static_cast<std::size_t>(t.numel())));
  }
  const config::Cell* cell_;
  results::Writer* writer_;
  results::Table table_, requests_;
  int number_ = 0;
};

results::Provenance provenance_of(Workshop& workshop) {
  const config::Experiment& e = workshop.experiment();
  const Environment& environment = workshop.environment();
  KeyMaker keys = environment.keys();
  const Machine here = machine();
  results::Provenance p;
  p.resolved_toml = config::to_toml(workshop.cell());
  p.seed = static_cast<std::int64_t>(workshop.cell().seed);
  p.git_commit = PALIMPSEST_GIT_COMMIT;
  for (const auto& [table, choice] : e.plugins()) {
    const auto plugin = environment.registry->find(abi_kind(table), choice->id);
    p.plugins.push_back({plugin.descriptor->kind, choice->id, plugin.descriptor->version, plugin.library->sha256()});
  }
  p.digests = {{"model", keys.model_digest(e.model.path.path)},
               {"tokenizer", workshop.model().tokenizer->sha256()},
               {"facts", keys.file_digest(e.facts.file.path)}};
  p.libraries = {{"palimpsest", here.version}, {"libtorch", here.torch_version}, {"hdf5", results::hdf5_version()}};
  p.settings = {{"dtype", e.model.dtype},        {"device", config::device_type(e.model.device)},
                {"threads", e.run.threads},      {"cpu_capability", here.cpu_capability},
                {"sources", here.sources},       {"target_rule", workshop.model().tokenizer->target_rule()},
                {"key", workshop.node().key.hex}};
  return p;
}

}  // namespace

void write_cell_file(Workshop& workshop) {
  const Plan& plan = workshop.plan();
  const config::Cell& cell = workshop.cell();
  const Roles roles = workshop.roles();
  results::Writer writer;
  UpdateWriter updates(cell, writer);
  StageRecord record;
  // By isolated fact. A model's updates add up from one edit to the next, so the last one has them all.
  std::map<std::optional<std::int64_t>, const PlanNode*> last_edits;
  for (const auto& id : workshop.node().below) {
    const PlanNode& node = plan.find(id);
    if (node.kind == NodeKind::kKnowledge || node.kind == NodeKind::kRoles) continue;
    record.append(StageRecord::load(workshop.stored(node)));
    if (node.kind == NodeKind::kStage && stage_to(cell.experiment, node.place) == config::StageKind::kEdit)
      last_edits[node.place.fact] = &node;
  }
  for (const auto& [place, node] : last_edits) {
    const auto fact = place ? roles.edited.at(static_cast<std::size_t>(*place)) : -1;
    const std::string edit = place ? workshop.facts()[static_cast<std::size_t>(fact)].id : "";
    updates.add(edit, load_state(workshop.stored(*node), workshop.model()).updates);
  }
  // The quality gate goes by the configuration's order, whenever each metric first ran.
  std::vector<std::string> metrics;
  for (const auto& choice : cell.experiment.metrics) metrics.push_back("/metrics/" + choice.id);
  record.put_first(metrics);
  results::write_provenance(writer, provenance_of(workshop));
  writer.table(cells_table(cell, plan.unedited(workshop.node().cell), roles, record));
  writer.table(facts_table(workshop, roles));
  updates.write();
  record.write(writer, cell.name, cell.replicate);
  writer.commit(plan.cell_file(workshop.node().cell));
}

}  // namespace palimpsest::experiment
