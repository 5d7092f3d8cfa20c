// The metrics that need recorded updates, mechanism and drift, against transformers and plain torch
// (tests/golden/make_mechanism_golden.py), and where their numbers are missing.
#include <ATen/ATen.h>

#include <cmath>

#include "base/error.hpp"
#include "model/safetensors.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;

// float32 keys and logits on both sides.
constexpr double kTolerance = 2e-5;

class Dump {
 public:
  Dump()
      : file_(model::SafetensorsFile::open(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" /
                                           "mechanism.safetensors")) {}
  at::Tensor at(const std::string& name) const {
    const model::TensorView* view = file_->find(name);
    if (view == nullptr) throw std::runtime_error("the dump has no " + name);
    at::Tensor tensor = at::empty(view->shape, view->dtype == model::DType::kFloat64 ? at::kDouble : at::kFloat);
    std::memcpy(tensor.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
    return tensor;
  }

 private:
  std::shared_ptr<const model::SafetensorsFile> file_;
};

const std::map<std::string, std::string>& noisy() {
  static const std::map<std::string, std::string> kNames = {
      {"layers.0.mlp.down.weight", "model.layers.0.mlp.down_proj.weight"},
      {"layers.1.mlp.down.weight", "model.layers.1.mlp.down_proj.weight"},
      {"layers.0.attention.query.weight", "model.layers.0.self_attn.q_proj.weight"},
      {"layers.1.attention_norm.weight", "model.layers.1.input_layernorm.weight"},
      {"embed.weight", "model.embed_tokens.weight"}};
  return kNames;
}

// The world's model with an edit of the dump: recorded, applied, and "fine-tuned".
class EditedWorld {
 public:
  explicit EditedWorld(const std::string& edit, std::vector<std::string> facts, bool tuned = true) : edit_(edit) {
    palimpsest_model& model = world.model();
    model.updates.clear();
    model.edited = model.base;
    for (std::int64_t layer = edit == "single" ? 1 : 0; layer < 2; ++layer) {
      model::Update update = model::make_low_rank(model.base, cat("layers.", layer, ".mlp.down.weight"),
                                                  dump.at(cat(edit, ".u.", layer)), dump.at(cat(edit, ".v.", layer)));
      update.facts = facts;
      update.ordinal = 1;
      model.edited = model::apply(model.edited, update);
      model.updates.push_back(std::move(update));
    }
    model.current = model.edited;
    if (!tuned) return;
    for (const auto& [name, stored] : noisy()) {
      model.current = model.current.with(name, dump.at(edit + ".current." + stored));
    }
  }

  std::vector<Values> measure(const char* id, const std::vector<plugin::ParameterValue>& values = {}) {
    plugin::Metric metric(find("metric", id), world.session(), values);
    rows = metric.measure(world.model(), {2, "step", 5}, facts());
    return by_name(metric.columns(), rows);
  }
  // Both facts with the role that the dump gives them.
  std::vector<const palimpsest_fact*> facts() {
    handles = {*world.facts()[0], *world.facts()[1]};
    if (edit_ == "batch") handles[1].role = "edited";
    return {&handles[0], &handles[1]};
  }

  World world;
  Dump dump;
  std::vector<palimpsest_fact> handles;
  std::vector<plugin::Row> rows;

 private:
  std::string edit_;
};

void expect_near(double found, double wanted, const std::string& what) {
  EXPECT_NEAR(found, wanted, kTolerance * std::max(std::abs(wanted), 1e-2)) << what;
}

const std::map<std::string, std::vector<std::string>>& facts_of() {
  static const std::map<std::string, std::vector<std::string>> kFacts = {{"single", {"city/alma"}},
                                                                         {"batch", {"city/alma", "city/ben"}}};
  return kFacts;
}

TEST(Mechanism, EqualsTransformersWithHooks) {
  for (const auto& [edit, facts] : facts_of()) {
    EditedWorld edited(edit, facts);
    const auto rows = edited.measure("mechanism");
    const at::Tensor wanted = edited.dump.at(edit + ".mechanism");
    ASSERT_EQ(rows.size(), static_cast<std::size_t>(wanted.size(0))) << "a row an edited fact";
    const char* columns[] = {"addressing", "storage", "readout", "probability_new"};
    for (std::size_t row = 0; row < rows.size(); ++row) {
      EXPECT_EQ(rows[row].at("edited_layers"), edit == "single" ? 1 : 2);
      for (std::int64_t c = 0; c < 4; ++c) {
        const double value = wanted[static_cast<std::int64_t>(row)][c].item<double>();
        EXPECT_NEAR(rows[row].at(columns[c]), value, kTolerance * std::abs(value))
            << edit << ", fact " << row << ", " << columns[c];
      }
    }
  }
}

TEST(Mechanism, IsWholeAtEdited) {
  for (const auto& [edit, facts] : facts_of()) {
    EditedWorld edited(edit, facts, /*tuned=*/false);
    for (const auto& row : edited.measure("mechanism")) {
      EXPECT_NEAR(row.at("addressing"), 1, 1e-6);
      EXPECT_EQ(row.at("storage"), 0);
      EXPECT_NEAR(row.at("readout"), row.at("probability_new"), 1e-5 * row.at("probability_new"));
    }
  }
}

// An update that is taken back: the key of layer 1 stays, nothing is stored any more.
TEST(Mechanism, StorageIsMinusOneWhenTheUpdateIsTakenBack) {
  EditedWorld edited("single", {"city/alma"}, /*tuned=*/false);
  edited.world.model().current = edited.world.model().base;
  const auto rows = edited.measure("mechanism");
  EXPECT_NEAR(rows[0].at("addressing"), 1, 1e-6);
  EXPECT_NEAR(rows[0].at("storage"), -1, 1e-5);
}

TEST(Mechanism, TellsColumnsOfFactsFromColumnsOfRequests) {
  // Two requests of the first fact and one of the second, but a column a fact: contexts of one key.
  EditedWorld edited("batch", {"city/alma", "city/alma", "city/ben"});
  const auto rows = edited.measure("mechanism");
  const at::Tensor wanted = edited.dump.at("batch.mechanism");
  for (std::int64_t row = 0; row < 2; ++row) {
    expect_near(rows[static_cast<std::size_t>(row)].at("addressing"), wanted[row][0].item<double>(), "addressing");
  }
  // Two requests of one fact: both columns are its own.
  EditedWorld both("batch", {"city/alma", "city/alma"});
  const auto together = both.measure("mechanism");
  EXPECT_FALSE(std::isnan(together[0].at("addressing")));
  EXPECT_GT(std::abs(together[0].at("addressing") - wanted[0][0].item<double>()), 1e-3);
  EXPECT_EQ(together[1].at("edited_layers"), 0);
}

TEST(Mechanism, IsMissingWhereItCannotBeTold) {
  // Two columns for three requests of three facts.
  EditedWorld unclear("batch", {"city/alma", "city/ben", "city/carl"});
  auto rows = unclear.measure("mechanism");
  EXPECT_TRUE(std::isnan(rows[0].at("addressing")));
  EXPECT_TRUE(std::isnan(rows[0].at("storage")));
  EXPECT_FALSE(std::isnan(rows[0].at("readout")));

  EditedWorld dense("single", {"city/alma"});
  model::Update& update = dense.world.model().updates.front();
  update = model::make_dense(dense.world.model().base, update.parameter, update.u.mm(update.v.t()));
  update.facts = {"city/alma"};
  update.ordinal = 1;
  rows = dense.measure("mechanism");
  const double wanted = dense.dump.at("single.mechanism")[0][0].item<double>();
  EXPECT_NEAR(rows[0].at("addressing"), wanted, kTolerance * std::abs(wanted))
      << "a dense update of one fact is its own";
  update.facts = {"city/alma", "city/ben"};
  rows = dense.measure("mechanism");
  EXPECT_TRUE(std::isnan(rows[0].at("addressing"))) << "a batch's is nobody's";

  World unedited(false);
  plugin::Metric metric(find("metric", "mechanism"), unedited.session(), {});
  const auto measured = metric.measure(unedited.model(), {1, "edited", 0}, unedited.facts());
  const auto values = by_name(metric.columns(), measured);
  ASSERT_EQ(values.size(), 1U);
  EXPECT_EQ(values[0].at("edited_layers"), 0);
  EXPECT_TRUE(std::isnan(values[0].at("readout")));
  EXPECT_GT(values[0].at("probability_new"), 0);
}

TEST(Drift, EqualsPlainTorch) {
  const char* columns[] = {"weight_norm", "change_norm", "relative_change", "update_norm", "along_update",
                           "overlap_out", "chance_out",  "overlap_in",      "chance_in"};
  for (const auto& [edit, facts] : facts_of()) {
    EditedWorld edited(edit, facts);
    const auto rows = edited.measure("drift");
    const auto& infos = edited.world.opened().parameters.infos();
    ASSERT_EQ(rows.size(), infos.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(edited.rows[i].fact, -1);
      EXPECT_EQ(edited.rows[i].values[0].text, infos[i].name);
      EXPECT_EQ(edited.rows[i].values[1].text, model::name_of(infos[i].role));
      EXPECT_EQ(rows[i].at("layer"), static_cast<double>(infos[i].layer));
      const auto found = noisy().find(infos[i].name);
      if (found == noisy().end()) {
        EXPECT_EQ(rows[i].at("change_norm"), 0) << infos[i].name;
        EXPECT_TRUE(std::isnan(rows[i].at("overlap_out")));
        continue;
      }
      const at::Tensor wanted = edited.dump.at(edit + ".drift." + found->second);
      EXPECT_EQ(rows[i].at("is_edited"), wanted.size(0) > 3 ? 1 : 0);
      for (std::int64_t c = 0; c < 9; ++c) {
        const std::string what = cat(edit, ", ", infos[i].name, ", ", columns[c]);
        if (c < wanted.size(0)) {
          expect_near(rows[i].at(columns[c]), wanted[c].item<double>(), what);
        } else {
          EXPECT_TRUE(std::isnan(rows[i].at(columns[c]))) << what;
        }
      }
    }
  }
}

TEST(Drift, SeesAnUpdateTakenBackAndAddedAgain) {
  EditedWorld edited("batch", {"city/alma", "city/ben"}, /*tuned=*/false);
  palimpsest_model& model = edited.world.model();
  for (const bool again : {false, true}) {
    model.current = model.base;
    if (again) {
      model.current = model.edited;
      for (const auto& update : model.updates) model.current = model::apply(model.current, update);
    }
    for (const auto& row : edited.measure("drift", {integer("only_edited", 1)})) {
      EXPECT_NEAR(row.at("along_update"), again ? 1 : -1, 1e-5);
      EXPECT_NEAR(row.at("overlap_out"), 1, 1e-5);
      EXPECT_NEAR(row.at("overlap_in"), 1, 1e-5);
    }
    EXPECT_EQ(edited.rows.size(), 2U);
  }
}

// Low rank and dense updates of one parameter add up; a dense update of full energy spans what it is.
TEST(Drift, AddsUpdatesOfBothForms) {
  EditedWorld edited("single", {"city/alma"});
  const auto before = edited.measure("drift", {integer("only_edited", 1)});
  palimpsest_model& model = edited.world.model();
  const model::Update whole = model.updates.front();
  // The same update, half of it low rank and half dense.
  model.updates = {model::make_low_rank(model.base, whole.parameter, 0.5 * whole.u, whole.v),
                   model::make_dense(model.base, whole.parameter, 0.5 * whole.u.mm(whole.v.t()))};
  const auto after = edited.measure("drift", {integer("only_edited", 1)});
  for (const char* column : {"update_norm", "along_update", "overlap_out", "overlap_in", "chance_out"}) {
    expect_near(after[0].at(column), before[0].at(column), column);
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
