#include "config/experiment.hpp"

#include "support.hpp"

namespace palimpsest::config {
namespace {

using testing::kMinimal;
using testing::Study;

std::string minimal(const std::string& more) { return std::string(kMinimal) + more; }

TEST(Experiment, DefaultsAreFilledAndPathsResolved) {
  Study study;
  const Expansion expansion = study.expand(kMinimal);
  ASSERT_EQ(text_of(expansion.problems), "");
  ASSERT_EQ(expansion.cells.size(), 1u);
  const Experiment& made = expansion.cells[0].experiment;
  EXPECT_EQ(made.experiment.name, "a");
  EXPECT_EQ(made.experiment.output, study.folder.path() / "results/a");
  EXPECT_THAT(made.experiment.stages, ::testing::ElementsAre(StageKind::kEdit, StageKind::kFinetune));
  EXPECT_EQ(made.model.path.given, "model");
  EXPECT_EQ(made.model.path.path, study.folder.path() / "model");
  EXPECT_EQ(made.facts.edited, 5);
  EXPECT_EQ(made.facts.zsre_target, "");
  EXPECT_FALSE(made.second_moments.file.set());
  EXPECT_EQ(made.edit.scope, "isolated");
  EXPECT_EQ(made.editor.id, "rome");
  EXPECT_EQ(made.editor.version, "1.2.0");
  EXPECT_EQ(made.editor.parameters.at("layer").as<std::int64_t>(), 5);
  EXPECT_EQ(made.editor.parameters.at("v_lr").as<double>(), 0.5);
  EXPECT_FALSE(made.editor.parameters.contains("templates"));
  EXPECT_EQ(made.augmenter.id, kNone);
  EXPECT_EQ(made.freeze_policy.id, kNone);
  EXPECT_EQ(made.task.parameters.at("file").as<std::string>(), (study.folder.path() / "text.jsonl").string());
  ASSERT_EQ(made.metrics.size(), 1u);
  EXPECT_EQ(made.metrics[0].id, "retention");
  EXPECT_EQ(made.training.learning_rate, 1e-4);
  EXPECT_EQ(made.training.warmup, 0.1);
  EXPECT_EQ(made.training.schedule, "linear");
  EXPECT_THAT(made.training.measure_steps, ::testing::ElementsAre(0, 1, 2, 5, 10, 20, 40));
  EXPECT_EQ(made.run.threads, 1);
}

TEST(Experiment, TextIsFullyResolvedAndReadsBackToItself) {
  Study study;
  const Expansion first = study.expand(kMinimal, {"training.learning_rate=1"});
  ASSERT_EQ(text_of(first.problems), "");
  const std::string text = to_toml(first.cells[0].experiment);
  EXPECT_THAT(text, ::testing::HasSubstr("learning_rate = 1.0\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("[editor]\nid = \"rome\"\nlayer = 5\nv_lr = 0.5\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("path = \"model\"\n"));
  EXPECT_EQ(text.find(study.folder.path().string()), std::string::npos);
  const Expansion second = study.expand(text);
  ASSERT_EQ(text_of(second.problems), "");
  EXPECT_EQ(to_toml(second.cells[0].experiment), text);
}

TEST(Experiment, WritingADefaultDownChangesNothing) {
  Study study;
  const auto text = [&](const std::string& more) {
    return to_toml(study.expand(minimal(more)).cells.at(0).experiment);
  };
  EXPECT_EQ(text("[training]\nmax_steps = 100\nclip_norm = 1\n"), text(""));
  EXPECT_NE(text("[training]\nmax_steps = 101\n"), text(""));
}

TEST(Experiment, AllProblemsAtOnceInTheOrderOfTheFile) {
  Study study;
  EXPECT_EQ(
      study.problems("[modle]\npath = \"x\"\n[facts]\nfile = \"no.jsonl\"\nedited = -1\n[editor]\nid = \"rom\"\nx = 1\n"
                     "[training]\nlearning_rate = 0\nschedul = \"linear\"\n[[metric]]\nid = 3\n[[metric]]\nx = 1\n"),
      "a.toml:1:1: model.path: found nothing, expected the path of a file or folder; this key is required: A Hugging "
      "Face "
      "folder (config.json, tokenizer.json, *.safetensors), or the name of one in `${home}/models`.\n"
      "a.toml:1:1: task.id: found nothing, expected an available task: language_modeling\n"
      "a.toml:1:2: modle: found an unknown table, expected a known one (did you mean \"model\"?)\n"
      "a.toml:4:8: facts.file: found the string \"no.jsonl\", expected the path of an existing file or folder; looked "
      "for "
      "no.jsonl, root/no.jsonl, root/home/no.jsonl\n"
      "a.toml:5:10: facts.edited: found the integer -1, expected an integer from 0\n"
      "a.toml:7:6: editor.id: found the string \"rom\", expected an available editor: memit, none, rome (did you mean "
      "\"rome\"?)\n"
      "a.toml:10:17: training.learning_rate: found the integer 0, expected a number above 0\n"
      "a.toml:11:1: training.schedul: found an unknown key, expected a key of [training] (did you mean \"schedule\"?)\n"
      "a.toml:13:6: metric[0].id: found the integer 3, expected an available metric: edit_success, retention\n"
      "a.toml:14:1: metric[1].id: found nothing, expected an available metric: edit_success, retention");
}

TEST(Experiment, PluginParametersAreCheckedLikeOwnKeys) {
  Study study;
  EXPECT_EQ(
      study.problems(kMinimal, {"editor.v_lr=0", "editor.layr=3", "task.file=none.txt"}),
      "--set: editor.layr: found an unknown key, expected a key of [editor] (did you mean \"layer\"?)\n"
      "--set: editor.v_lr: found the integer 0, expected a number above 0\n"
      "--set: task.file: found the string \"none.txt\", expected the path of an existing file or folder; looked for " +
          (std::filesystem::current_path() / "none.txt").string() + ", root/none.txt, root/home/none.txt");
}

TEST(Experiment, ParametersOfAnotherPluginDoNotLeakIn) {
  Study study;
  EXPECT_EQ(study.problems(kMinimal, {"editor.id=memit"}), "");
}

TEST(Experiment, TablesOfAnotherShape) {
  Study study;
  EXPECT_EQ(
      study.problems(
          std::string("training = 3\nmetric = \"x\"\neditor = [1]\n") +
          "[model]\npath = \"model\"\n[facts]\nfile = \"facts.jsonl\"\n[task]\nid = \"language_modeling\"\nfile = "
          "\"text.jsonl\"\n"),
      "a.toml:1:12: training: found the integer 3, expected a table [training]\n"
      "a.toml:2:10: metric: found the string \"x\", expected a list of tables [[metric]]\n"
      "a.toml:3:10: editor: found a list, expected a table [editor]");
}

TEST(Experiment, Metrics) {
  Study study;
  EXPECT_EQ(study.problems(minimal("[[metric]]\nid = \"retention\"\n")),
            "a.toml:15:6: metric[1].id: found \"retention\" a second time, expected each metric once");
  EXPECT_EQ(study.problems(kMinimal, {"metric=[]"}),
            "--set: metric: found none, expected at least one [[metric]] table");
}

TEST(Experiment, Stages) {
  Study study;
  EXPECT_EQ(study.problems(minimal("[experiment]\nstages = []\n")),
            "a.toml:15:10: experiment.stages: found an empty list, expected at least one of \"edit\", \"finetune\", "
            "\"reapply\"");
  EXPECT_EQ(study.problems(minimal("[experiment]\nstages = [\"reapply\", \"edit\"]\n")),
            "a.toml:15:10: experiment.stages: found \"reapply\" before any \"edit\", expected an \"edit\" whose "
            "updates it can add "
            "again");
  EXPECT_EQ(study.problems(minimal("[experiment]\nstages = [\"edit\", \"fintune\"]\n")),
            "a.toml:15:19: experiment.stages: found the string \"fintune\" in the list, expected a list of \"edit\", "
            "\"finetune\", "
            "\"reapply\" (did you mean \"finetune\"?)");
  for (const char* stages :
       {"[\"edit\"]", "[\"finetune\"]", "[\"finetune\", \"edit\", \"reapply\", \"edit\", \"reapply\"]"}) {
    EXPECT_EQ(study.problems(minimal(cat("[experiment]\nstages = ", stages, "\n"))), "");
  }
}

TEST(Experiment, PluginsThatNoStageUsesMayBeLeftOut) {
  Study study;
  const std::string base =
      "[model]\npath = \"model\"\n[facts]\nfile = \"facts.jsonl\"\n[[metric]]\nid = \"retention\"\n";
  const std::string task = "[task]\nid = \"language_modeling\"\nfile = \"text.jsonl\"\n";
  const std::string tune = "[experiment]\nstages = [\"finetune\"]\n", edit = "[experiment]\nstages = [\"edit\"]\n";
  const Expansion tuned = study.expand(base + task + tune);
  ASSERT_EQ(text_of(tuned.problems), "");
  EXPECT_EQ(tuned.cells[0].experiment.editor.id, "");
  const Expansion edited = study.expand(base + "[editor]\nid = \"none\"\n" + edit);
  ASSERT_EQ(text_of(edited.problems), "");
  EXPECT_EQ(edited.cells[0].experiment.task.id, "");
  EXPECT_EQ(edited.cells[0].experiment.freeze_policy.id, "");
  EXPECT_EQ(study.problems(base + task),
            "a.toml:1:1: editor.id: found nothing, expected an available editor: memit, none, rome");
}

TEST(Experiment, Facts) {
  Study study;
  // Whether its editor needs facts is the editor's to say: the plan refuses.
  EXPECT_EQ(study.problems(kMinimal, {"facts.edited=0"}), "");
  EXPECT_EQ(study.problems(kMinimal, {"facts.format=zsre"}),
            "a.toml:3:1: facts.zsre_target: found nothing, expected one of \"answers\", \"alt\": required with format "
            "= \"zsre\"");
  EXPECT_EQ(study.problems(kMinimal, {"facts.format=zsre", "facts.zsre_target=alt"}), "");
  EXPECT_EQ(
      study.problems(kMinimal, {"facts.zsre_target=alt"}),
      "--set: facts.zsre_target: found \"alt\", expected nothing: it belongs to format = \"zsre\", and the format is "
      "\"palimpsest\"");
  EXPECT_EQ(study.problems(kMinimal, {"facts.selection=matched", "facts.intrinsic=0"}),
            "--set: facts.selection: found \"matched\", expected facts.edited and facts.intrinsic above 0 with it");
  EXPECT_EQ(
      study.problems(kMinimal, {"facts.selection=matched", "facts.intrinsic=5", "experiment.replicates=2"}),
      "--set: facts.selection: found \"matched\" with 5 edited and 5 intrinsic facts, expected more intrinsic ones: "
      "where replicates swap roles, 5 are the facts that the paired replicate edits, and none would be chosen by "
      "margin; or set experiment.swap_roles = false");
  EXPECT_EQ(study.problems(kMinimal, {"facts.limit=20"}),
            "--set: facts.limit: found the integer 20, expected 0 or at least facts.edited + facts.intrinsic, 25");
}

TEST(Experiment, Training) {
  Study study;
  const auto with = [&](std::vector<std::string> settings) { return study.problems(kMinimal, settings); };
  EXPECT_EQ(with({"training.max_steps=0"}),
            "--set: training.max_steps: found 0 here and in training.epochs, expected one of them above 0");
  EXPECT_EQ(with({"training.max_steps=0", "training.epochs=0.5"}), "");
  EXPECT_EQ(with({"training.measure_steps=[0, 5, 5]"}),
            "--set: training.measure_steps: found 5 after 5, expected an ascending list without repetition");
  EXPECT_EQ(with({"training.measure_epochs=[1, 0.5]"}),
            "--set: training.measure_epochs: found 0.5 after 1, expected an ascending list without repetition");
  EXPECT_EQ(with({"training.patience=3"}),
            "--set: training.patience: found a value above 0, expected training.evaluate_every above 0 with it");
  EXPECT_EQ(with({"training.stop_loss=3.0", "training.evaluate_every=10"}), "");
  EXPECT_EQ(
      with({"training.stop_reference_gain=0.2"}),
      "--set: training.stop_reference_gain: found a value above 0, expected training.stop_gain_share above 0 with it");
  EXPECT_EQ(with({"training.stop_gain_share=0.9", "training.stop_reference_gain=0.2", "training.evaluate_every=5"}),
            "");
  EXPECT_EQ(with({"training.masters=none"}),
            "--set: training.masters: found \"none\" with model.dtype = \"float32\", expected it with model.dtype = "
            "\"bfloat16\": weights in float32 are stepped as they are");
  EXPECT_EQ(with({"training.masters=none", "model.dtype=bfloat16"}), "");
  // Without fine-tuning nobody reads these.
  EXPECT_EQ(with({"training.max_steps=0", "experiment.stages=[\"edit\"]"}), "");
}

TEST(Experiment, OtherCrossChecks) {
  Study study;
  EXPECT_EQ(study.problems(kMinimal, {"model.device=gpu"}),
            "--set: model.device: found the string \"gpu\", expected \"cpu\", \"cuda\" or \"cuda:N\"");
  EXPECT_EQ(study.problems(kMinimal, {"model.device=cuda:1"}), "");
  EXPECT_EQ(study.problems(kMinimal, {"experiment.name=a/b"}),
            "--set: experiment.name: found the name \"a/b\", expected 1 to 80 letters, digits, `.`, `_` and `-`, the "
            "first a letter, "
            "digit or `_`; set experiment.name");
  EXPECT_EQ(study.problems(kMinimal, {"second_moments.block=8", "second_moments.skip_first_tokens=8"}),
            "--set: second_moments.skip_first_tokens: found the integer 8, expected less than second_moments.block, "
            "which is 8");
}

TEST(Experiment, PluginFoldersComeFirst) {
  Study study;
  std::filesystem::create_directories(study.folder.path() / "mine");
  study.folder.write("sub/base.toml", "plugin_path = [\"../mine\", \"gone\"]\n");
  const auto file = study.folder.write("a.toml", "extends = \"sub/base.toml\"\n" + std::string(kMinimal));
  const Document document = load_document(file);
  EXPECT_THAT(plugin_folders(document, study.locations), ::testing::ElementsAre(study.folder.path() / "mine"));
  const Expansion expansion = expand_all(document, study.catalog, study.locations);
  EXPECT_EQ(
      study.folder.shown(text_of(expansion.problems)),
      "sub/base.toml:1:27: plugin_path: found the string \"gone\", expected a folder, and sub/gone does not exist; "
      "build the plugin that belongs there, or correct the path");
  const auto wrong = study.folder.write("wrong.toml", "plugin_path = 3\n");
  EXPECT_EQ(testing::message_of(study.folder, [&] { plugin_folders(load_document(wrong), study.locations); }),
            "wrong.toml:1:15: plugin_path: found the integer 3, expected a list of strings");
}

TEST(Defaults, CountForThePluginThatIsChosenAndChooseNone) {
  Study study;
  const std::string defaults =
      "[defaults.editor.rome]\nlayer = 7\nv_lr = 0.25\n[defaults.editor.memit]\nlayers = [1, 2]\n";
  const Expansion rome = study.expand(minimal(defaults));
  ASSERT_EQ(study.folder.shown(text_of(rome.problems)), "");
  // The table's own value wins over the default of the file, and this over the plugin's.
  const Experiment& made = rome.cells[0].experiment;
  EXPECT_EQ(made.editor.parameters.at("layer").as<std::int64_t>(), 5);
  EXPECT_EQ(made.editor.parameters.at("v_lr").as<double>(), 0.25);
  // What is resolved says it in the table, so that results need no [defaults].
  const std::string text = to_toml(made);
  EXPECT_EQ(text.find("defaults"), std::string::npos);
  EXPECT_THAT(text, ::testing::HasSubstr("v_lr = 0.25\n"));

  const Expansion memit = study.expand(minimal(defaults), {"editor={ id = \"memit\" }"});
  ASSERT_EQ(study.folder.shown(text_of(memit.problems)), "");
  EXPECT_EQ(memit.cells[0].experiment.editor.parameters.at("layers").as<Array>().size(), 2u);
  const Expansion swept =
      study.expand(minimal(defaults + "[sweep]\neditor = [{ id = \"rome\" }, { id = \"memit\" }]\n"));
  ASSERT_EQ(study.folder.shown(text_of(swept.problems)), "");
  ASSERT_EQ(swept.cells.size(), 2u);
  EXPECT_EQ(swept.cells[0].experiment.editor.parameters.at("v_lr").as<double>(), 0.25);
  EXPECT_EQ(swept.cells[1].experiment.editor.parameters.at("layers").as<Array>().size(), 2u);
  // Of a plugin that is chosen by default, too.
  const Expansion none =
      study.expand(minimal("[defaults.augmenter.paraphrase]\ncount = 2\n"), {"augmenter.id=paraphrase"});
  ASSERT_EQ(study.folder.shown(text_of(none.problems)), "");
  EXPECT_EQ(none.cells[0].experiment.augmenter.parameters.at("count").as<std::int64_t>(), 2);
}

TEST(Defaults, AreCheckedWhetherChosenOrNot) {
  Study study;
  const auto problems = [&](const std::string& text) { return study.problems(minimal(text)); };
  EXPECT_THAT(problems("[defaults.editor.memit]\nlayer = 1\n"),
              ::testing::AllOf(::testing::HasSubstr("a.toml:15:1: defaults.editor.memit.layer"),
                               ::testing::HasSubstr("did you mean \"layers\"")));
  EXPECT_THAT(problems("[defaults.editor.rome]\nv_lr = -1.0\n"), ::testing::HasSubstr("a.toml:15:8: editor.v_lr"));
  EXPECT_THAT(problems("[defaults.editor.memti]\nlayers = [1]\n"), ::testing::HasSubstr("did you mean \"memit\""));
  EXPECT_THAT(problems("[defaults.editors.memit]\nlayers = [1]\n"), ::testing::HasSubstr("did you mean \"editor\""));
  EXPECT_THAT(problems("[defaults]\neditor = 3\n"), ::testing::HasSubstr("expected tables by id of a plugin"));
}

TEST(Experiment, KeysOfScopesDoNotMix) {
  Study study;
  EXPECT_THAT(study.problems(minimal("[edit]\nscope = \"sequential\"\nbatch_size = 3\n")),
              ::testing::HasSubstr("edit.batch_size"));
  EXPECT_THAT(study.problems(minimal("[edit]\nscope = \"isolated\"\nmeasure_every = 3\n")),
              ::testing::HasSubstr("edit.measure_every"));
  EXPECT_EQ(study.problems(minimal("[edit]\nscope = \"batch\"\nbatch_size = 3\nmeasure_every = 3\n")), "");
}

}  // namespace
}  // namespace palimpsest::config
