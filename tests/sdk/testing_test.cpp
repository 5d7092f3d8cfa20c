// The host for authors' tests (palimpsest/sdk/testing.hpp), as an author uses it: an editor with a state.
#include "palimpsest/sdk/testing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

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

}  // namespace
}  // namespace palimpsest
