// The tasks instruction, classification and question_answering on the tiny world: what is rendered and learned, and the
// scores against whole forwards of one row at a time.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "model/decoder.hpp"
#include "model/generation.hpp"
#include "plugins/task_data.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;
using testing::HasSubstr;

using Ids = std::vector<std::int64_t>;

// log p(response | prompt) by a forward of the one row: sum over the response's tokens.
double logp_of(const World& world, const palimpsest_model& model, const Ids& prompt, const Ids& response) {
  Ids ids = prompt, labels(prompt.size(), -100);
  ids.insert(ids.end(), response.begin(), response.end());
  labels.insert(labels.end(), response.begin(), response.end());
  const at::Tensor loss = model::causal_loss(world.opened().config, model.current, at::tensor(ids).unsqueeze(0), {},
                                             at::tensor(labels).unsqueeze(0));
  return -loss.item<double>() * static_cast<double>(response.size());
}

// The greedy continuation of one prompt.
std::string greedy(const World& world, const palimpsest_model& model, const std::string& prompt, std::int64_t tokens) {
  model::GenerationOptions options;
  options.max_new_tokens = tokens;
  const auto& tokenizer = *world.opened().tokenizer;
  const auto made =
      model::generate(world.opened().config, model.current, {tokenizer.encode_prompt(prompt).ids}, options);
  return tokenizer.decode(made.front(), true);
}

// What a loss is taken on: the labels that count, as text.
std::string learned(const World& world, const plugin::Example& example) {
  Ids ids;
  for (const auto label : example.labels) {
    if (label != -100) ids.push_back(label);
  }
  return world.opened().tokenizer->decode(ids);
}

// --- instruction ---

Table instructions() {
  return {{"instruction", "input", "output"},
          {{"Name a city", "in the north", "Oslo"}, {"Name it", "", "Rome {input}"}},
          {{"Say it", "a b", "c"}, {"Sing", "", "la la"}, {"Tell me", "of {instruction}", "no"}}};
}
std::vector<plugin::ParameterValue> short_templates(std::vector<plugin::ParameterValue> values = {}) {
  values.push_back(text("template_with_input", "I: {instruction}\nX: {input}\nR:\n"));
  values.push_back(text("template_without_input", "I: {instruction}\nR:\n"));
  return over_file(std::move(values));
}

TEST(InstructionTask, RendersTheRowAndLearnsTheResponse) {
  World world;
  plugin::Task task(find("finetune-task", "instruction"), session_over(world, instructions()), short_templates());
  task.prepare(world.model());
  EXPECT_EQ(task.batching(), PALIMPSEST_BATCHING_PAD);
  EXPECT_FALSE(task.has_loss());
  ASSERT_EQ(task.count(PALIMPSEST_TRAIN), 2);
  const plugin::Example with = task.example(PALIMPSEST_TRAIN, 0), without = task.example(PALIMPSEST_TRAIN, 1);
  const auto& tokenizer = *world.opened().tokenizer;
  EXPECT_EQ(tokenizer.decode(with.token_ids), "I: Name a city\nX: in the north\nR:\nOslo<|end|>");
  EXPECT_EQ(learned(world, with), "Oslo<|end|>");
  EXPECT_EQ(tokenizer.decode(without.token_ids), "I: Name it\nR:\nRome {input}<|end|>");
  EXPECT_EQ(learned(world, without), "Rome {input}<|end|>");
  // What a row puts into a place is not itself a template.
  EXPECT_EQ(tokenizer.decode(task.example(PALIMPSEST_VALIDATION, 2).token_ids),
            "I: Tell me\nX: of {instruction}\nR:\nno<|end|>");
}

// Under a vocabulary that puts the mark of a space before every text of its own (Llama 2, Mistral).
TEST(InstructionTask, ResponseGoesOnFromThePromptWithoutAMark) {
  World world;
  const auto session = session_over(world, instructions());
  session->tokenizer =
      model::Tokenizer::open(std::filesystem::path(PALIMPSEST_TEST_DATA) / "tokenizer" / "data" / "characters.json");
  plugin::Task task(find("finetune-task", "instruction"), session, short_templates());
  task.prepare(world.model());
  const plugin::Example example = task.example(PALIMPSEST_TRAIN, 0);
  const std::string prompt = "I: Name a city\nX: in the north\nR:\n";
  EXPECT_EQ(example.token_ids, session->tokenizer->encode_prompt(prompt + "Oslo").ids);
  const auto first = std::find_if(example.labels.begin(), example.labels.end(), [](auto id) { return id != -100; });
  ASSERT_NE(first, example.labels.end());
  EXPECT_EQ(*first, session->tokenizer->encode_continuation("Oslo").ids.front());
  EXPECT_NE(*first, session->tokenizer->encode("Oslo").ids.front());
}

TEST(InstructionTask, PublishedPromptIsTheDefault) {
  const auto& plugin = find("finetune-task", "instruction");
  for (std::size_t i = 0; i < plugin.descriptor->parameter_count; ++i) {
    const auto& parameter = plugin.descriptor->parameters[i];
    if (std::string_view(parameter.name) != "template_without_input") continue;
    EXPECT_EQ(plugin::view(parameter.default_value.text),
              "Below is an instruction that describes a task. Write a response that appropriately completes the "
              "request.\n\n### Instruction:\n{instruction}\n\n### Response:\n");
    return;
  }
  FAIL() << "no such parameter";
}

TEST(InstructionTask, ScoresAsRowsAloneDo) {
  World world;
  Table table = instructions();
  // One response is what the model writes, so that exact match is neither 0 nor 1.
  const std::string written = greedy(world, world.model(), "I: Sing\nR:\n", 6);
  std::string line = written.substr(std::min(written.find_first_not_of(" \n"), written.size()));
  line = line.substr(0, line.find('\n'));
  ASSERT_FALSE(line.empty());
  table.validation[1][2] = line;
  plugin::Task task(find("finetune-task", "instruction"), session_over(world, table),
                    short_templates({integer("max_new_tokens", 6)}));
  task.prepare(world.model());
  double logp = 0, tokens = 0;
  for (std::int64_t i = 0; i < 3; ++i) {
    const plugin::Example example = task.example(PALIMPSEST_VALIDATION, i);
    const auto prompt = std::count(example.labels.begin(), example.labels.end(), -100);
    const Ids ids = example.token_ids;
    logp += logp_of(world, world.model(), {ids.begin(), ids.begin() + prompt}, {ids.begin() + prompt, ids.end()});
    tokens += static_cast<double>(ids.size()) - static_cast<double>(prompt);
  }
  const Values score = by_name(task.score_columns(), task.score(world.model())).front();
  EXPECT_EQ(score.at("examples"), 3);
  EXPECT_EQ(score.at("response_tokens"), tokens);
  EXPECT_NEAR(score.at("response_logp"), logp / 3, 1e-4);
  EXPECT_NEAR(score.at("response_logp_mean"), logp / tokens, 1e-5);
  EXPECT_NEAR(score.at("response_exact_match"), 1.0 / 3, 1e-12);
}

TEST(InstructionTask, LeavesLongExamplesOutAndRefusesToHaveNone) {
  World world;
  Table table = instructions();
  table.train.push_back({"Count", "", std::string(100, 'a')});
  plugin::Task task(find("finetune-task", "instruction"), session_over(world, table),
                    short_templates({integer("example_tokens", 60)}));
  task.prepare(world.model());
  EXPECT_EQ(task.count(PALIMPSEST_TRAIN), 2);
  plugin::Task none(find("finetune-task", "instruction"), session_over(world, table),
                    short_templates({integer("example_tokens", 5)}));
  EXPECT_THAT(refusal(none, world.model()), HasSubstr("0 examples to train on and 0 to validate on (6 were left out"));
}

TEST(InstructionTask, ReadsOtherColumnsAndRefusesATemplateWithoutPlaces) {
  World world;
  Table table = instructions();
  table.columns = {"q", "more", "a"};
  plugin::Task task(
      find("finetune-task", "instruction"), session_over(world, table),
      short_templates({text("instruction_column", "q"), text("input_column", ""), text("output_column", "a")}));
  task.prepare(world.model());
  EXPECT_EQ(world.opened().tokenizer->decode(task.example(PALIMPSEST_TRAIN, 0).token_ids),
            "I: Name a city\nR:\nOslo<|end|>");
  try {
    plugin::Task bad(find("finetune-task", "instruction"), session_over(world, table),
                     over_file({text("template_with_input", "{instruction}")}));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("template_with_input is \"{instruction}\"; expected {input} in it"));
  }
}

TEST(InstructionTask, AnEmptyResponseIsAnError) {
  World world;
  Table table = instructions();
  table.train[1][2] = "";
  plugin::Task task(find("finetune-task", "instruction"), session_over(world, table), short_templates());
  EXPECT_THAT(refusal(task, world.model()), HasSubstr("has no tokens; expected some text"));
}

// --- classification ---

Table labelled() {
  return {{"text", "label"},
          {{"the city is old", "bad"}, {"the city is new", "good"}, {"it is in Rome", "fair"}},
          {{"Rome", "good"}, {"in Paris", "bad"}, {"the river", "good"}, {"Lima is", "fair"}, {"of the city", "bad"}}};
}

TEST(ClassificationTask, ScoresByTheMostProbableLabel) {
  World world;
  plugin::Task task(find("finetune-task", "classification"), session_over(world, labelled()), over_file());
  task.prepare(world.model());
  EXPECT_EQ(task.batching(), PALIMPSEST_BATCHING_PAD);
  EXPECT_EQ(learned(world, task.example(PALIMPSEST_TRAIN, 0)), " bad<|end|>");
  const auto& tokenizer = *world.opened().tokenizer;
  const std::vector<std::string> labels = {"bad", "fair", "good"};
  std::vector<std::size_t> truths, predictions;
  for (const auto& row : labelled().validation) {
    const Ids prompt = tokenizer.encode_prompt("Text: " + row[0] + "\nLabel:").ids;
    std::vector<double> logps;
    for (const auto& label : labels) {
      logps.push_back(logp_of(world, world.model(), prompt, tokenizer.encode(" " + label).ids));
    }
    predictions.push_back(static_cast<std::size_t>(std::max_element(logps.begin(), logps.end()) - logps.begin()));
    truths.push_back(static_cast<std::size_t>(std::find(labels.begin(), labels.end(), row[1]) - labels.begin()));
  }
  double right = 0, f1 = 0, occurring = 0;
  for (std::size_t label = 0; label < labels.size(); ++label) {
    double hits = 0, of_truth = 0, of_prediction = 0;
    for (std::size_t i = 0; i < truths.size(); ++i) {
      of_truth += truths[i] == label ? 1 : 0;
      of_prediction += predictions[i] == label ? 1 : 0;
      hits += truths[i] == label && predictions[i] == label ? 1 : 0;
    }
    right += hits;
    if (of_truth + of_prediction == 0) continue;
    ++occurring;
    const double precision = of_prediction == 0 ? 0 : hits / of_prediction,
                 recall = of_truth == 0 ? 0 : hits / of_truth;
    f1 += hits == 0 ? 0 : 2 * precision * recall / (precision + recall);
  }
  const Values score = by_name(task.score_columns(), task.score(world.model())).front();
  EXPECT_DOUBLE_EQ(score.at("accuracy"), right / 5);
  EXPECT_NEAR(score.at("macro_f1"), f1 / occurring, 1e-12);
  EXPECT_DOUBLE_EQ(score.at("majority"), 0.4);
  EXPECT_EQ(score.at("examples"), 5);
}

// The most probable label of every row given as its own: accuracy 1.
TEST(ClassificationTask, WordsStandForLabelsAndTheBestIsRight) {
  World world;
  Table table = labelled();
  table.train = {{"the city", "1"}};
  const auto& tokenizer = *world.opened().tokenizer;
  const Ids prompt = tokenizer.encode_prompt("Text: Rome\nLabel:").ids;
  const auto logp = [&](const char* word) { return logp_of(world, world.model(), prompt, tokenizer.encode(word).ids); };
  const bool yes = logp(" yes") > logp(" no");
  table.validation = {{"Rome", yes ? "1" : "0"}};
  plugin::Task task(find("finetune-task", "classification"), session_over(world, table),
                    over_file({texts("labels", {"0", "1"}), texts("label_words", {"no", "yes"})}));
  task.prepare(world.model());
  EXPECT_EQ(learned(world, task.example(PALIMPSEST_TRAIN, 0)), " yes<|end|>");
  EXPECT_DOUBLE_EQ(by_name(task.score_columns(), task.score(world.model())).front().at("accuracy"), 1);
}

TEST(ClassificationTask, RefusesWhatCannotBeClassified) {
  World world;
  const auto refused = [&](Table table, std::vector<plugin::ParameterValue> values = {}) {
    plugin::Task task(find("finetune-task", "classification"), session_over(world, std::move(table)),
                      over_file(std::move(values)));
    return refusal(task, world.model());
  };
  Table table = labelled();
  table.validation[0][1] = "odd";
  EXPECT_THAT(refused(table), HasSubstr("found the label \"odd\"; expected one of bad, fair, good"));
  table = labelled();
  table.train = {{"the city", "good"}, {"in Rome", "good"}};
  EXPECT_THAT(refused(table), HasSubstr("found 1 labels (\"good\"); expected at least two"));
  EXPECT_THAT(refused(labelled(), {texts("labels", {"good", "bad", "fair"}), texts("label_words", {"a", "b", "a"})}),
              HasSubstr("two labels are given the word \"a\""));
  try {
    refused(labelled(), {text("template", "{text}\n")});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected no white space at its end"));
  }
}

// --- question answering ---

Table questions() {
  return {
      {"context", "question", "answer"},
      {{"The river is in the north.", "Where is it?", "in the north;north"}, {"It is.", "Is it?", "yes"}},
      {{"Rome is a city.", "What is it?", "city;a city"}, {"It is.", "Is it?", "yes"}, {"Not so.", "Is it?", "no"}}};
}

TEST(QuestionAnsweringTask, TeachesTheFirstAnswer) {
  World world;
  plugin::Task task(find("finetune-task", "question_answering"), session_over(world, questions()),
                    over_file({text("answer_separator", ";")}));
  task.prepare(world.model());
  const plugin::Example example = task.example(PALIMPSEST_TRAIN, 0);
  EXPECT_EQ(world.opened().tokenizer->decode(example.token_ids),
            "The river is in the north.\n\nQuestion: Where is it?\nAnswer: in the north<|end|>");
  EXPECT_EQ(learned(world, example), " in the north<|end|>");
  plugin::Task one(find("finetune-task", "question_answering"), session_over(world, questions()), over_file());
  one.prepare(world.model());
  EXPECT_EQ(learned(world, one.example(PALIMPSEST_TRAIN, 0)), " in the north;north<|end|>");
}

TEST(QuestionAnsweringTask, ScoresTheGreedyAnswerAndYesOrNo) {
  World world;
  Table table = questions();
  const auto prompt_of = [](const std::vector<std::string>& row) {
    return row[0] + "\n\nQuestion: " + row[1] + "\nAnswer:";
  };
  // The second of two right answers is what the model writes, with an article and a full stop more.
  std::string written = greedy(world, world.model(), prompt_of(table.validation[0]), 6);
  written = written.substr(0, written.find('\n'));
  ASSERT_NE(written.find_first_not_of(" .,"), std::string::npos) << written;
  table.validation[0][2] = "nothing;The " + written + ".";
  plugin::Task task(find("finetune-task", "question_answering"), session_over(world, table),
                    over_file({text("answer_separator", ";"), integer("max_new_tokens", 6)}));
  task.prepare(world.model());
  const auto& tokenizer = *world.opened().tokenizer;
  double right = 0;
  for (std::size_t i = 1; i < 3; ++i) {
    const Ids prompt = tokenizer.encode_prompt(prompt_of(table.validation[i])).ids;
    const double yes = logp_of(world, world.model(), prompt, tokenizer.encode(" yes").ids);
    const double no = logp_of(world, world.model(), prompt, tokenizer.encode(" no").ids);
    right += (yes > no) == (table.validation[i][2] == "yes") ? 1 : 0;
  }
  const Values score = by_name(task.score_columns(), task.score(world.model())).front();
  EXPECT_EQ(score.at("examples"), 3);
  EXPECT_EQ(score.at("yes_no_examples"), 2);
  EXPECT_DOUBLE_EQ(score.at("yes_no_accuracy"), right / 2);
  EXPECT_NEAR(score.at("exact_match"), 1.0 / 3, 1e-12);
  EXPECT_GE(score.at("f1"), score.at("exact_match"));
}

TEST(QuestionAnsweringTask, WithoutYesOrNoThatColumnIsMissing) {
  World world;
  Table table = questions();
  table.validation.resize(1);
  plugin::Task task(find("finetune-task", "question_answering"), session_over(world, table),
                    over_file({integer("max_new_tokens", 4)}));
  task.prepare(world.model());
  const Values score = by_name(task.score_columns(), task.score(world.model())).front();
  EXPECT_TRUE(std::isnan(score.at("yes_no_accuracy")));
  table.train[0][2] = "";
  plugin::Task empty(find("finetune-task", "question_answering"), session_over(world, table), over_file());
  EXPECT_THAT(refusal(empty, world.model()), HasSubstr("whose column \"answer\" is empty"));
}

}  // namespace
}  // namespace palimpsest::plugin_tests
