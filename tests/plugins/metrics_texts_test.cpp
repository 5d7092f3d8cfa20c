// Metrics of whole texts against the plainest computation: one whole forward per text, no window, no cache, no batch.
#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "model/work.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;
using Ids = std::vector<std::int64_t>;

constexpr double kTolerance = 2e-5;  // of a mean over tokens: float32 logits, another order of summation

std::string data_file(const char* name) { return (conformance::data_folder() / name).string(); }

// Sum of log p(ids[t] | ids before t) over t >= first, float64, in one forward.
double whole(const World& world, const Ids& ids, std::size_t first) {
  model::ForwardRequest request;
  request.token_ids = at::tensor(ids, at::kLong).unsqueeze(0);
  for (std::size_t t = first; t < ids.size(); ++t) request.logits.push_back({0, static_cast<std::int64_t>(t) - 1});
  const auto& model = const_cast<World&>(world).model();
  const at::Tensor logits = model::forward(world.opened().config, model.current, request).logits;
  const at::Tensor logp = at::log_softmax(logits.to(at::kDouble), -1);
  double sum = 0;
  for (std::size_t t = first; t < ids.size(); ++t) {
    sum += logp[static_cast<std::int64_t>(t - first)][ids[t]].item<double>();
  }
  return sum;
}

Values measure_one(World& world, const char* id, const std::vector<plugin::ParameterValue>& values) {
  plugin::Metric metric(find("metric", id), world.session(), values);
  const auto rows = metric.measure(world.model(), {2, "step", 5, 120, 48}, world.facts());
  EXPECT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows.front().fact, -1);
  return by_name(metric.columns(), rows).front();
}

std::vector<Ids> documents(const World& world, std::size_t first, std::size_t count, std::size_t tokens) {
  plugin::DatasetRequest request;
  request.path = data_file("text.txt");
  request.columns = {"text"};
  const auto data = world.session()->open_dataset(request);
  std::vector<Ids> all;
  for (std::size_t i = first; i < std::min(data->train.size(), first + count); ++i) {
    Ids ids = world.opened().tokenizer->encode_prompt(data->train[i][0]).ids;
    ids.resize(std::min(ids.size(), tokens));
    all.push_back(std::move(ids));
  }
  return all;
}

TEST(Perplexity, EqualsWholeForwards) {
  World world;
  const auto row =
      measure_one(world, "perplexity", {text("file", data_file("text.txt")), integer("document_tokens", 100)});
  double sum = 0;
  std::size_t tokens = 0;
  const auto texts = documents(world, 0, 50, 100);
  ASSERT_GT(texts.size(), 4U);
  for (const Ids& ids : texts) {
    sum += whole(world, ids, 1);
    tokens += ids.size() - 1;
  }
  EXPECT_EQ(row.at("predicted_tokens"), static_cast<double>(tokens));
  EXPECT_EQ(row.at("documents_read"), static_cast<double>(texts.size()));
  EXPECT_NEAR(row.at("mean_nll"), -sum / static_cast<double>(tokens), kTolerance);
  EXPECT_NEAR(std::log(row.at("perplexity")), row.at("mean_nll"), 1e-12);
}

// Windows by hand: every window is a text of its own, of which the last tokens count.
TEST(Perplexity, ReadsLongDocumentsInWindows) {
  World world;
  const auto row =
      measure_one(world, "perplexity",
                  {text("file", data_file("text.txt")), integer("document_tokens", 90), integer("window", 40),
                   integer("context", 10), integer("first", 1), integer("documents", 3)});
  double sum = 0;
  std::size_t tokens = 0;
  for (const Ids& ids : documents(world, 1, 3, 90)) {
    ASSERT_EQ(ids.size(), 90U);
    const auto part = [&](std::size_t begin, std::size_t end, std::size_t predict) {
      sum += whole(
          world, Ids(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(end)),
          predict - begin);
    };
    part(0, 40, 1);
    part(30, 70, 40);
    part(60, 90, 70);
    tokens += 89;
  }
  EXPECT_EQ(row.at("predicted_tokens"), static_cast<double>(tokens));
  EXPECT_NEAR(row.at("mean_nll"), -sum / static_cast<double>(tokens), kTolerance);
}

TEST(Perplexity, SaysWhatCannotBeRead) {
  World world;
  const auto refusal = [&](const std::vector<plugin::ParameterValue>& values) {
    try {
      measure_one(world, "perplexity", values);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refusal({text("file", data_file("text.txt")), integer("window", 8), integer("context", 8)})
                .find("context is 8 and window is 8"),
            std::string::npos);
  EXPECT_NE(
      refusal({text("file", data_file("text.txt")), integer("first", 1000)}).find("are to be passed over, and it has"),
      std::string::npos);
}

TEST(Perplexity, RunsNoTokenTwiceWithoutOverlap) {
  World world;
  plugin::Metric metric(find("metric", "perplexity"), world.session(),
                        {text("file", data_file("text.txt")), integer("document_tokens", 60), integer("documents", 2)});
  const model::Work before = model::work();
  metric.measure(world.model(), {0, "base", 0}, world.facts());
  const model::Work done = model::work() - before;
  EXPECT_EQ(done.layer_tokens, 2 * 59 * world.info().layers);
  EXPECT_EQ(done.head_rows, 2 * 59);
}

TEST(MultipleChoice, EqualsWholeForwards) {
  World world;
  plugin::Metric metric(find("metric", "multiple_choice"), world.session(),
                        {text("file", PALIMPSEST_TEST_DATA "/plugins/data/multiple_choice.jsonl")});
  const auto raw = metric.measure(world.model(), {0, "base", 0}, world.facts());
  const auto rows = by_name(metric.columns(), raw);
  ASSERT_EQ(rows.size(), 2U);

  struct Question {
    std::string context;
    std::vector<std::string> choices;
    std::size_t correct;
  };
  const std::vector<std::vector<Question>> sets = {{{"The friend of Alma Dorn lives in", {"Oslo", "New York"}, 0},
                                                    {"The sun is", {"in the city of Lima", "hot", "Paris"}, 1}},
                                                   {{"Goal: cut wood\nAnswer:", {"use a saw", "use a spoon"}, 0}}};
  for (std::size_t s = 0; s < sets.size(); ++s) {
    double accuracy = 0, normalised = 0, margin = 0, chance = 0;
    for (const Question& question : sets[s]) {
      std::vector<double> raw_scores, per_character;
      for (const auto& choice : question.choices) {
        Ids ids = world.opened().tokenizer->encode_prompt(question.context).ids;
        const std::size_t context = ids.size();
        const Ids target = world.opened().tokenizer->encode_target(choice).ids;
        ids.insert(ids.end(), target.begin(), target.end());
        raw_scores.push_back(whole(world, ids, context));
        per_character.push_back(raw_scores.back() / static_cast<double>(choice.size()));
      }
      const auto winner = [](const std::vector<double>& scores) {
        return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
      };
      accuracy += winner(raw_scores) == question.correct ? 1 : 0;
      normalised += winner(per_character) == question.correct ? 1 : 0;
      const double own = raw_scores[question.correct];
      raw_scores[question.correct] = -1e30;
      margin += own - raw_scores[winner(raw_scores)];
      chance += 1 / static_cast<double>(question.choices.size());
    }
    const auto n = static_cast<double>(sets[s].size());
    EXPECT_EQ(raw[s].values.front().text, s == 0 ? "city" : "tools");
    EXPECT_EQ(rows[s].at("questions"), n);
    EXPECT_EQ(rows[s].at("choice_accuracy"), accuracy / n);
    EXPECT_EQ(rows[s].at("choice_accuracy_normalised"), normalised / n);
    EXPECT_NEAR(rows[s].at("chance"), chance / n, 1e-12);
    EXPECT_NEAR(rows[s].at("choice_margin"), margin / n, 20 * kTolerance);  // sums over up to 18 tokens
  }
}

// What stands before a text, so that its first token is predicted too: BOS, else EOS, else nothing.
Ids lead_of(const model::Tokenizer& tokenizer) {
  const auto first = tokenizer.bos_id() ? tokenizer.bos_id() : tokenizer.eos_id();
  return first ? Ids{*first} : Ids();
}

TEST(Compression, EqualsWholeForwards) {
  World world;
  const auto row = measure_one(world, "compression",
                               {text("general_file", data_file("text.txt")), integer("documents", 2),
                                integer("document_tokens", 50), number("pretraining_tokens", 4800)});
  const model::Tokenizer& tokenizer = *world.opened().tokenizer;
  const Ids lead = lead_of(tokenizer);
  double bits = 0, bytes = 0;
  for (const Ids& text_ids : documents(world, 0, 2, 50)) {
    Ids ids = lead;
    ids.insert(ids.end(), text_ids.begin(), text_ids.end());
    bits -= whole(world, ids, 1) / std::numbers::ln2;
    bytes += static_cast<double>(tokenizer.decode(text_ids).size());
  }
  EXPECT_NEAR(row.at("gamma_general"), bits / bytes, kTolerance);

  const auto statement = [&](const std::string& prompt, const std::string& target) {
    Ids ids = lead;
    for (const auto& piece : {tokenizer.encode_prompt(prompt).ids, tokenizer.encode_target(target).ids}) {
      ids.insert(ids.end(), piece.begin(), piece.end());
    }
    return -whole(world, ids, 1) / std::numbers::ln2 / static_cast<double>(prompt.size() + 1 + target.size());
  };
  EXPECT_NEAR(row.at("gamma_edits_taught"), statement("The friend of Alma Dorn lives in", "Oslo"), kTolerance);
  EXPECT_NEAR(row.at("gamma_edits_test"), statement("The house of Alma Dorn is in", "Oslo"), kTolerance);
  EXPECT_NEAR(row.at("gamma_intrinsic"), statement("The city of Ben Hill is", "New York"), kTolerance);
  EXPECT_TRUE(std::isnan(row.at("gamma_task")));
  // The point has 120 tokens trained and 48 of edits.
  EXPECT_DOUBLE_EQ(row.at("l"), 2.5);
  EXPECT_DOUBLE_EQ(row.at("k"), 100);
  EXPECT_EQ(row.at("tokens_trained_so_far"), 120);
  EXPECT_EQ(row.at("edit_tokens"), 48);
}

// By default and with other values: the documents are those that language_modeling validates on, since both ask the
// host for the same.
TEST(Compression, ReadsTheDocumentsThatTheTaskHoldsOut) {
  World world;
  const model::Tokenizer& tokenizer = *world.opened().tokenizer;
  for (const bool changed : {false, true}) {
    std::vector<plugin::DatasetRequest> asked;
    const auto session = std::make_shared<plugin::Session>(*world.session());
    session->open_dataset = [&](const plugin::DatasetRequest& request) {
      asked.push_back(request);
      return world.session()->open_dataset(request);
    };
    std::vector<plugin::ParameterValue> of_task = {text("file", data_file("text.txt"))};
    std::vector<plugin::ParameterValue> of_metric = {text("general_file", data_file("text.txt")),
                                                     text("task_file", data_file("text.txt")),
                                                     integer("documents", 1000), integer("document_tokens", 50)};
    if (changed) {
      for (auto* values : {&of_task, &of_metric}) {
        values->push_back(number("validation_share", 0.25));
        values->push_back(integer("filter", 0));
      }
    }
    plugin::Task task(find("finetune-task", "language_modeling"), session, of_task);
    task.prepare(world.model());
    plugin::Metric metric(find("metric", "compression"), session, of_metric);
    const auto row =
        by_name(metric.columns(), metric.measure(world.model(), {2, "step", 5, 120, 48}, world.facts())).front();
    ASSERT_EQ(asked.size(), 3U) << "the task's, the general text, the metric's own of the task";
    EXPECT_EQ(asked[2].path, asked[0].path);
    EXPECT_EQ(asked[2].columns, asked[0].columns);
    EXPECT_EQ(asked[2].validation_share, asked[0].validation_share);
    EXPECT_EQ(asked[2].validation_share, changed ? 0.25 : 0.1);
    EXPECT_EQ(asked[2].filter, asked[0].filter);
    EXPECT_EQ(asked[2].filter, !changed);

    double bits = 0, bytes = 0;
    const std::int64_t documents = task.count(PALIMPSEST_VALIDATION);
    ASSERT_GT(documents, 4);
    for (std::int64_t i = 0; i < documents; ++i) {
      Ids text_ids = task.example(PALIMPSEST_VALIDATION, i).token_ids;
      text_ids.resize(std::min<std::size_t>(text_ids.size(), 50));
      Ids ids = lead_of(tokenizer);
      ids.insert(ids.end(), text_ids.begin(), text_ids.end());
      bits -= whole(world, ids, 1) / std::numbers::ln2;
      bytes += static_cast<double>(tokenizer.decode(text_ids).size());
    }
    EXPECT_NEAR(row.at("gamma_task"), bits / bytes, kTolerance);
    EXPECT_GT(std::abs(row.at("gamma_task") - row.at("gamma_general")), 3 * kTolerance) << "other documents";
    EXPECT_TRUE(std::isnan(row.at("k")));
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
