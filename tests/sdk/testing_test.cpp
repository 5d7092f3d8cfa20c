// The host for authors' tests (palimpsest/sdk/testing.hpp), as an author uses it, and what it refuses as a run does.
#include "palimpsest/sdk/testing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/columns.hpp"

namespace palimpsest {
namespace {

using sdk::testing::Tested;
using sdk::testing::World;
using ::testing::HasSubstr;

// Adds 1 / (edits so far + 1) to the first number of a matrix, and keeps how many edits there were.
class Counting : public sdk::StatefulEditor {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"counting", "1.0.0", "Edits less from time to time."};
  Counting(sdk::Host host, const Parameters&) : host_(host) {}
  sdk::Needs needs(const palimpsest_model_info&) override { return {{}, {1}, 0}; }
  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    const auto shape = model.parameter(sdk::mlp_down_parameter(1)).shape();
    std::vector<double> delta(static_cast<std::size_t>(shape[0] * shape[1]), 0.0);
    delta[0] = 1 / (edits_ + 1);
    updates.dense(sdk::mlp_down_parameter(1), sdk::Tensor::from_numbers(host_.get(), delta, shape));
    if (requests.front().target.empty()) sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "the target is empty");
    ++edits_;
  }
  void reset() override { edits_ = 0; }
  void save(const sdk::StateSink& sink) override {
    const sdk::Tensor edits = sdk::Tensor::from_numbers(host_.get(), std::vector<double>{edits_}, {1});
    sink.tensor("edits", edits);
    if (edits_ == 3) sink.tensor("edits", edits);
  }
  void load(std::span<const sdk::StateTensor> state) override {
    if (state.size() != 1 || state[0].name != "edits") sdk::fail(PALIMPSEST_CORRUPT, "expected edits");
    edits_ = state[0].value.numbers().front();
  }

 private:
  sdk::Host host_;
  double edits_ = 0;
};

class Stateless : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"stateless", "1.0.0", "Edits nothing."};
  Stateless(sdk::Host, const Parameters&) {}
  sdk::Needs needs(const palimpsest_model_info&) override { return {}; }
  void apply(sdk::Model, std::span<const sdk::EditRequest>, const sdk::Updates&) override {}
};

// Gives its column of every type what its parameter says.
class Mistyped : public sdk::Metric {
 public:
  struct Parameters {
    std::int64_t wrong = -1;  // the column that gets another type's value
    static constexpr auto fields() {
      return std::tuple(sdk::field("wrong", &Parameters::wrong, "Which column is wrong."));
    }
  };
  static constexpr sdk::Info kInfo{"mistyped", "1.0.0", "Mistakes types."};
  Mistyped(sdk::Host, const Parameters& p) : p_(p) {}
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {sdk::mean_column("number", "nat", "A number."),
                                                     sdk::rate_column("truth", "A truth."),
                                                     sdk::plain_column("count", PALIMPSEST_INT64, "1", "A count."),
                                                     sdk::plain_column("word", PALIMPSEST_TEXT, "", "A word.")};
    return kColumns;
  }
  void measure(const sdk::MeasureRequest&, const sdk::Rows& rows) override {
    std::vector<sdk::Value> values = {std::int64_t{3}, true, std::int64_t{4}, std::string("five")};
    const std::vector<sdk::Value> wrong = {std::string("three"), 1.0, 4.0, std::int64_t{5}};
    if (p_.wrong >= 0 && p_.wrong < 4)
      values[static_cast<std::size_t>(p_.wrong)] = wrong[static_cast<std::size_t>(p_.wrong)];
    if (p_.wrong == 4) values.pop_back();
    rows.row(-1, values);
  }

 private:
  Parameters p_;
};

// Names layer 0, and reads or edits layer 1.
class Overreaching : public sdk::Editor {
 public:
  struct Parameters {
    bool moment = false;
    static constexpr auto fields() {
      return std::tuple(sdk::field("moment", &Parameters::moment, "Reads the second moment of layer 1."));
    }
  };
  static constexpr sdk::Info kInfo{"overreaching", "1.0.0", "Does what it did not announce."};
  Overreaching(sdk::Host host, const Parameters& p) : host_(host), p_(p) {}
  sdk::Needs needs(const palimpsest_model_info&) override { return {{0}, {0}, 0}; }
  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    if (p_.moment) host_.second_moment_matrix(1);
    const auto shape = model.parameter(sdk::mlp_down_parameter(1)).shape();
    const std::vector<double> delta(static_cast<std::size_t>(shape[0] * shape[1]), 1.0);
    updates.dense(sdk::mlp_down_parameter(1), sdk::Tensor::from_numbers(host_.get(), delta, shape));
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

// Keeps what it saw of the facts of its requests.
class Curious : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"curious", "1.0.0", "Looks at the facts."};
  Curious(sdk::Host, const Parameters&) {}
  sdk::Needs needs(const palimpsest_model_info&) override { return {}; }
  void apply(sdk::Model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const bool again = i > 0 && requests[i].fact.id() == requests[i - 1].fact.id();
      updates.record(static_cast<std::int64_t>(i), requests[i].fact.id() + " " + requests[i].fact.target_true(), -1,
                     again ? 1 : 0);
    }
  }
};

const sdk::testing::Request kRequest = {"The capital of {} is", "France", "Rome"};

double added_by(Tested<Counting>& editor) { return editor.apply({kRequest}).updates.at(0).dense.numbers().at(0); }

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const sdk::Error& error) {
    return error.what();
  }
  return "";
}

TEST(TestedState, GoesFromOneInstanceToAnother) {
  World world;
  Tested<Counting> first(world), second(world);
  EXPECT_DOUBLE_EQ(added_by(first), 1);
  const sdk::testing::State state = first.save();
  ASSERT_EQ(state.size(), 1U);
  EXPECT_EQ(state.at("edits").numbers(), std::vector<double>{1});
  second.load(state);
  EXPECT_DOUBLE_EQ(added_by(second), 0.5);
  EXPECT_DOUBLE_EQ(added_by(first), 0.5);
  first.reset();
  EXPECT_EQ(first.save().at("edits").numbers(), std::vector<double>{0});
  EXPECT_DOUBLE_EQ(added_by(first), 1);
}

TEST(TestedState, IsWhatItWasAfterAFailedEdit) {
  World world;
  Tested<Counting> editor(world);
  added_by(editor);
  const std::string weights = world.weights_digest();
  EXPECT_THAT(error_of([&] { editor.apply({{"The capital of {} is", "France", ""}}); }), HasSubstr("target is empty"));
  EXPECT_EQ(editor.save().at("edits").numbers(), std::vector<double>{1});
  EXPECT_EQ(world.weights_digest(), weights);
}

TEST(TestedState, IsRefusedWhereItCannotBe) {
  World world;
  Tested<Counting> editor(world);
  EXPECT_THAT(error_of([&] { editor.load({}); }), HasSubstr("expected edits"));
  for (int i = 0; i < 3; ++i) added_by(editor);
  EXPECT_THAT(error_of([&] { editor.save(); }), HasSubstr("counting saved two tensors named \"edits\""));
  Tested<Stateless> stateless(world);
  EXPECT_THAT(error_of([&] { stateless.save(); }), HasSubstr("editor stateless has no state"));
  EXPECT_THAT(error_of([&] { stateless.load({}); }), HasSubstr("offers no editor.state/1"));
}

// A whole number fits a column of numbers; nothing else is taken for what it is not.
TEST(TestedRows, HoldWhatTheirColumnsSay) {
  World world;
  Tested<Mistyped> right(world);
  const auto rows = right.measure();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].values.at("number"), sdk::Value(3.0));
  EXPECT_EQ(rows[0].values.at("truth"), sdk::Value(true));
  EXPECT_EQ(rows[0].values.at("count"), sdk::Value(std::int64_t{4}));
  EXPECT_EQ(rows[0].values.at("word"), sdk::Value(std::string("five")));
  const std::vector<std::string> errors = {"column \"number\" is not TEXT and was given a text",
                                           "column \"truth\" is not FLOAT64 and was given the double 1",
                                           "column \"count\" is not FLOAT64 and was given the double 4",
                                           "column \"word\" is TEXT and was given a number",
                                           "a row of 3 values; 4 columns were declared"};
  for (std::size_t i = 0; i < errors.size(); ++i) {
    Tested<Mistyped> wrong(world, {static_cast<std::int64_t>(i)});
    EXPECT_THAT(error_of([&] { wrong.measure(); }), HasSubstr(errors[i]));
  }
}

// As in a run: what needs did not name is refused, and leaves the weights as they were.
TEST(TestedNeeds, BoundWhatApplyMayDo) {
  World world;
  const std::string weights = world.weights_digest();
  Tested<Overreaching> layer(world, {false}), moment(world, {true});
  EXPECT_THAT(error_of([&] { layer.apply({kRequest}); }),
              HasSubstr("editor overreaching changed layers.1.mlp.down.weight, and its needs do not announce layer 1"));
  EXPECT_THAT(error_of([&] { moment.apply({kRequest}); }),
              HasSubstr("second moment of layer 1 was not announced through editor.needs/1"));
  EXPECT_EQ(world.weights_digest(), weights);
  EXPECT_EQ(world.host().second_moment_matrix(1).shape().size(), 2U);
}

TEST(TestedRequests, AreOfTheFactsTheyAreGiven) {
  World world;
  sdk::testing::FactText fact;
  fact.id = "capital";
  fact.subject = "France";
  fact.prompt = kRequest.prompt;
  fact.target_new = kRequest.target;
  fact.target_true = "Paris";
  sdk::testing::Request own = kRequest, augmented = kRequest;
  own.fact = augmented.fact = fact;
  augmented.prompt = "The capital city of {} is";
  augmented.origin = PALIMPSEST_PROMPT_AUGMENTED;
  Tested<Curious> editor(world);
  const auto edit = editor.apply({own, augmented, kRequest});
  EXPECT_EQ(edit.record(0, "capital Paris"), 0);
  EXPECT_EQ(edit.record(1, "capital Paris"), 1);
  EXPECT_EQ(edit.record(2, "request/2 "), 0);
}

// In place or copied, a tensor's numbers are the same.
TEST(TensorFloats, AreReadWhereverTheyLie) {
  World world;
  const sdk::Tensor weight = world.model().parameter(sdk::mlp_down_parameter(0));
  const sdk::Floats in_place = weight.floats();
  const std::vector<double> numbers = weight.numbers();
  ASSERT_EQ(in_place.size(), numbers.size());
  EXPECT_EQ(&in_place[0], &weight.floats()[0]);
  const sdk::Tensor wide = sdk::Tensor::from_numbers(world.host().get(), numbers, weight.shape());
  const sdk::Floats copied = wide.floats();
  ASSERT_EQ(copied.size(), numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ(static_cast<double>(in_place[i]), numbers[i]);
    ASSERT_EQ(copied[i], in_place[i]);
  }
  EXPECT_NE(&copied[0], &wide.floats()[0]);
  EXPECT_EQ(copied.span()[4], in_place[4]);
}

}  // namespace
}  // namespace palimpsest
