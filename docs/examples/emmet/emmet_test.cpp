// EMMET against the plain Python of make_golden.py, tensor by tensor, on the tiny model of palimpsest::testing.
#include "emmet.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "palimpsest/sdk/testing.hpp"

namespace emmet {
namespace {

using sdk::testing::Request;
using Numbers = std::vector<double>;

const std::vector<Request> kRequests = {{"The capital of {} is", "France", "Rome"},
                                        {"The king of {} lives in", "the old castle of Vienna", "London by the river"},
                                        {"The river runs through {}", "Paris", "Italy"}};

Emmet::Parameters parameters(double lambda) {
  Emmet::Parameters p;
  p.layer = 1;
  p.emmet_lambda = lambda;
  p.v_num_grad_steps = 6;
  p.context_templates = {"The rain is over. {}", "You. {}"};
  return p;
}

Numbers golden(const std::string& wanted) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "golden.txt";
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::size_t count = 0;
    words >> name >> count;
    if (name != wanted) continue;
    Numbers numbers(count);
    for (double& x : numbers) words >> x;
    return numbers;
  }
  ADD_FAILURE() << "no " << wanted << " in " << path;
  return {};
}

// U V^T, row by row.
Numbers product(const sdk::RecordedUpdate& update) {
  const Numbers u = update.u.numbers(), v = update.v.numbers();
  const auto rank = static_cast<std::size_t>(update.u.shape().at(1));
  const std::size_t out = u.size() / rank, in = v.size() / rank;
  Numbers dense(out * in, 0.0);
  for (std::size_t i = 0; i < out; ++i) {
    for (std::size_t j = 0; j < in; ++j) {
      for (std::size_t r = 0; r < rank; ++r) dense[i * in + j] += u[i * rank + r] * v[j * rank + r];
    }
  }
  return dense;
}

double norm(const Numbers& numbers) {
  double sum = 0;
  for (const double x : numbers) sum += x * x;
  return std::sqrt(sum);
}

void expect_golden(const std::string& name, const std::vector<Request>& requests, double lambda) {
  sdk::testing::World world;
  sdk::testing::Tested<Emmet> editor(world, parameters(lambda));
  const auto edit = editor.apply(requests);
  ASSERT_EQ(edit.updates.size(), 1U);
  EXPECT_EQ(edit.updates[0].parameter, "layers.1.mlp.down.weight");
  EXPECT_EQ(edit.updates[0].u.shape().at(1), static_cast<std::int64_t>(requests.size()));
  const Numbers wanted = golden(name), found = product(edit.updates[0]);
  ASSERT_EQ(found.size(), wanted.size());
  Numbers difference;
  for (std::size_t i = 0; i < wanted.size(); ++i) difference.push_back(found[i] - wanted[i]);
  // Two attention kernels alone give 2e-6 on an update.
  EXPECT_LT(norm(difference), 2e-5 * norm(wanted));
}

TEST(Emmet, BatchEqualsPlainPython) { expect_golden("batch", kRequests, 0); }
TEST(Emmet, SoftenedBatchEqualsPlainPython) { expect_golden("softened", kRequests, 5); }
// One fact has nothing to be softened: lambda plays no part.
TEST(Emmet, SingleFactEqualsPlainPython) { expect_golden("single", {kRequests[0]}, 5); }

TEST(Emmet, NeedsTheSecondMomentOfItsLayer) {
  sdk::testing::World world;
  const auto needs = sdk::testing::Tested<Emmet>(world, parameters(0)).needs();
  EXPECT_EQ(needs.second_moments, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(needs.edits_layers, (std::vector<std::int64_t>{1}));
  auto outside = parameters(0);
  outside.layer = 3;
  EXPECT_THROW(sdk::testing::Tested<Emmet>(world, outside).needs(), sdk::Error);
}

TEST(Emmet, OneSubjectCannotHaveTwoValues) {
  sdk::testing::World world;
  const std::vector<Request> twice = {kRequests[0], {"The capital of {} is", "France", "Vienna"}};
  const std::string before = world.weights_digest();
  try {
    sdk::testing::Tested<Emmet>(world, parameters(0)).apply(twice);
    FAIL() << "the batch was edited";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.status(), PALIMPSEST_NUMERIC);
    EXPECT_NE(std::string(error.what()).find("depend on each other"), std::string::npos) << error.what();
  }
  EXPECT_EQ(world.weights_digest(), before);
  sdk::testing::Tested<Emmet>(world, parameters(0.1)).apply(twice);
  EXPECT_NE(world.weights_digest(), before);
}

}  // namespace
}  // namespace emmet
