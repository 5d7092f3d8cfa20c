// Layers as fractions of the depth and as "auto" become numbers before anything else sees them.
#include "config/layers.hpp"

#include "support.hpp"

namespace palimpsest::config {
namespace {

using ::testing::HasSubstr;
using testing::Study;

// An experiment whose editor's table holds `editor`; its keys stand on lines 6 and following.
std::string with(const std::string& editor) {
  return "[model]\npath = \"model\"\n[facts]\nfile = \"facts.jsonl\"\n[editor]\n" + editor +
         "[task]\nid = \"language_modeling\"\nfile = \"text.jsonl\"\n[[metric]]\nid = \"retention\"\n";
}

class Layers : public ::testing::Test {
 protected:
  void SetUp() override {
    study.folder.write("root/configs/models/published.toml",
                       "[[model]]\nmodel_type = \"llama\"\nlayers = 48\nhidden = 1600\nvocabulary = 50257\n"
                       "file = \"wrong.toml\"\n"
                       "[[model]]\nmodel_type = \"gpt2\"\nlayers = 48\nhidden = 1600\nvocabulary = 50257\n"
                       "file = \"gpt2-xl.toml\"\n");
    study.folder.write("root/configs/models/gpt2-xl.toml",
                       "[model]\npath = \"gpt2-xl\"\n[defaults.editor.rome]\nlayer = 17\n"
                       "[defaults.editor.memit]\nlayers = [13, 14, 15]\n");
  }

  std::string resolved(const std::string& editor) {
    const Expansion expansion = study.expand(with(editor));
    EXPECT_EQ(study.folder.shown(text_of(expansion.problems)), "");
    if (expansion.cells.empty()) return "";
    const auto& parameters = expansion.cells.front().experiment.editor.parameters;
    const std::string name = parameters.contains("layer") ? "layer" : "layers";
    // What results record and what instances are given agree.
    const auto& recorded = expansion.cells.front().experiment.resolved.find("editor")->value.as<Table>();
    EXPECT_TRUE(same(recorded.find(name)->value, parameters.at(name)));
    return inline_toml(parameters.at(name));
  }

  Study study;
};

TEST_F(Layers, AFractionIsTheNearestLayerOfTheModel) {
  EXPECT_EQ(layer_at(0.35, 48), 17);
  EXPECT_EQ(layer_at(0.0, 48), 0);
  EXPECT_EQ(layer_at(0.999, 48), 47);
  EXPECT_EQ(layer_at(0.35, 2), 1);
  EXPECT_EQ(resolved("id = \"rome\"\nlayer = 0.35\n"), "17");
  EXPECT_EQ(resolved("id = \"rome\"\nlayer = 0.0\n"), "0");
  EXPECT_EQ(resolved("id = \"memit\"\nlayers = [0.25, 0.5, 30]\n"), "[12, 24, 30]");
  // Numbers stay what they are.
  EXPECT_EQ(resolved("id = \"rome\"\nlayer = 5\n"), "5");
  study.catalog.shape.layers = 30;
  EXPECT_EQ(resolved("id = \"rome\"\nlayer = 0.15\n"), "5");
}

TEST_F(Layers, AutoIsWhatIsPublishedForTheModel) {
  EXPECT_EQ(resolved("id = \"rome\"\nlayer = \"auto\"\n"), "17");
  EXPECT_EQ(resolved("id = \"memit\"\nlayers = \"auto\"\n"), "[13, 14, 15]");
}

TEST_F(Layers, DefaultsAndSweepsAreResolvedToo) {
  const Expansion expansion =
      study.expand(with("id = \"rome\"\n") +
                   "[defaults.editor.rome]\nlayer = \"auto\"\n[defaults.editor.memit]\nlayers = [0.5]\n"
                   "[sweep]\neditor = [{ id = \"rome\" }, { id = \"rome\", layer = 0.5 }, { id = \"memit\" }]\n");
  ASSERT_EQ(study.folder.shown(text_of(expansion.problems)), "");
  ASSERT_EQ(expansion.cells.size(), 3u);
  const auto layer = [&](std::size_t cell, const char* name) {
    return inline_toml(expansion.cells[cell].experiment.editor.parameters.at(name));
  };
  EXPECT_EQ(layer(0, "layer"), "17");
  EXPECT_EQ(layer(1, "layer"), "24");
  EXPECT_EQ(layer(2, "layers"), "[24]");
}

TEST_F(Layers, WhatCannotBeResolvedIsSaid) {
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = 1.5\n")),
            "a.toml:7:9: editor.layer: found the number 1.5, expected a layer as an integer, a fraction of the depth "
            "from 0 and below 1, or \"auto\"");
  EXPECT_EQ(study.problems(with("id = \"memit\"\nlayers = 0.5\n")),
            "a.toml:7:10: editor.layers: found the number 0.5, expected a list of integers");
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = \"five\"\n")),
            "a.toml:7:9: editor.layer: found the string \"five\", expected an integer from 0");
  study.folder.write("root/configs/models/gpt2-xl.toml", "[defaults.editor.memit]\nlayers = [13]\n");
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = \"auto\"\n")),
            "a.toml:7:9: editor.layer: found the string \"auto\", and configs/models/gpt2-xl.toml has no layer for the "
            "editor rome; expected an integer from 0 or fractions of the depth: the metric causal_trace shows where a "
            "model keeps its facts");
  study.catalog.shape = {"gpt2", 12, 768, 50257};
  EXPECT_THAT(study.problems(with("id = \"rome\"\nlayer = \"auto\"\n")),
              HasSubstr("configs/models/published.toml lists no model of type gpt2 with 12 layers, hidden size 768 and "
                        "50257 tokens; expected an integer from 0"));
  study.catalog.shape.layers = 0;
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = 0.5\n")),
            "a.toml:7:9: editor.layer: found the number 0.5, which follows from the model's depth, and that is not "
            "known: no config.json");
}

// Whatever plugin's it is, a layer that the model lacks is known before any work.
TEST_F(Layers, OneThatTheModelDoesNotHaveIsRefused) {
  EXPECT_EQ(resolved("id = \"rome\"\nlayer = 47\n"), "47");
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = 48\n")),
            "a.toml:7:9: editor.layer: found the integer 48, expected a layer from 0 to 47: the model has 48 layers");
  EXPECT_EQ(study.problems(with("id = \"memit\"\nlayers = [3, 48, 0.5, 99]\n")),
            "a.toml:7:14: editor.layers: found the integer 48 in the list, expected layers from 0 to 47: the model has "
            "48 layers\n"
            "a.toml:7:23: editor.layers: found the integer 99 in the list, expected layers from 0 to 47: the model has "
            "48 layers");
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = 1\n") +
                           "[freeze_policy]\nid = \"layer_range\"\nfirst = 0\nlast = 50\n"),
            "a.toml:16:8: freeze_policy.last: found the integer 50, expected a layer from 0 to 47: the model has 48 "
            "layers");
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = 1\n"), {"editor.layer=48"}),
            "--set: editor.layer: found the integer 48, expected a layer from 0 to 47: the model has 48 layers");
}

TEST_F(Layers, ADefaultThatTheModelDoesNotHaveIsRefusedWhereThePluginIsChosen) {
  study.catalog.shape.layers = 1;
  EXPECT_EQ(
      study.problems(with("id = \"memit\"\n") + "[freeze_policy]\nid = \"layer_range\"\n"),
      "a.toml:12:1: freeze_policy.last: found the integer 1, expected a layer from 0 to 0: the model has 1 layer");
  study.catalog.shape.layers = 48;
  // Of a plugin that is not chosen: it may be meant for another model.
  EXPECT_EQ(study.problems(with("id = \"rome\"\nlayer = 1\n") + "[defaults.editor.memit]\nlayers = [99]\n"), "");
  EXPECT_EQ(
      study.problems(with("id = \"memit\"\n") + "[defaults.editor.memit]\nlayers = [99]\n"),
      "a.toml:13:11: editor.layers: found the integer 99 in the list, expected layers from 0 to 47: the model has "
      "48 layers");
}

// That a model cannot be read is said of the model, by those who open it.
TEST_F(Layers, NothingIsSaidOfAModelThatCannotBeRead) {
  study.catalog.shape.layers = 0;
  EXPECT_EQ(resolved("id = \"rome\"\nlayer = 99\n"), "99");
}

}  // namespace
}  // namespace palimpsest::config
