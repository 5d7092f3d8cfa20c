#include "model/decoder.hpp"

#include <gmock/gmock.h>

#include <iostream>

#include "base/error.hpp"
#include "model/golden_model.hpp"
#include "model/work.hpp"

namespace palimpsest::model {
namespace {

using ::testing::HasSubstr;

// transformers and this runtime take the same products in other orders; measured 5e-6 at logits of up to 15.
constexpr double kAgainstTransformers = 1e-4;

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  const Reference reference{GetParam()};
  const Model model = open_model(golden_folder(GetParam()));

  at::Tensor reference_logits(const std::string& name = "logits") const {
    return real_positions(reference.at(name), reference.list("lengths"));
  }
};

INSTANTIATE_TEST_SUITE_P(Models, Golden, ::testing::ValuesIn(golden_names()),
                         [](const auto& test) { return test.param; });

TEST_P(Golden, LogitsAtEveryPositionEqualTransformers) {
  const at::Tensor logits = forward(model, whole_request(reference)).logits;
  EXPECT_LT(max_difference(logits, reference_logits()), kAgainstTransformers);
}

TEST_P(Golden, LogprobsAreThoseOfTheLogits) {
  ForwardRequest request = whole_request(reference);
  for (const RowPosition& position : request.logits) {
    request.logprobs.push_back({position.row, position.position, (position.position * 37 + 5) % 256});
  }
  const ForwardResult result = forward(model, request);
  const at::Tensor all = at::log_softmax(reference_logits(), 1);
  for (std::size_t i = 0; i < request.logprobs.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    EXPECT_NEAR(result.logprobs[row].item<double>(), all[row][request.logprobs[i].target].item<double>(), 1e-4);
  }
}

TEST_P(Golden, SitesEqualHooks) {
  ForwardRequest request = whole_request(reference);
  const std::vector<std::string> names = {"layers.1.mlp.key",   "embed.out",    "layers.1.attention.out",
                                          "layers.1.mlp.value", "layers.1.out", "final.out"};
  for (const std::string& name : names) request.capture.push_back(parse_site(name, model.config));
  const ForwardResult result = forward(model, request);
  ASSERT_EQ(result.captured.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_LT(max_difference(real_positions(result.captured[i], request.lengths),
                             real_positions(reference.at("site." + names[i]), request.lengths)),
              kAgainstTransformers)
        << names[i];
    EXPECT_EQ(result.captured[i][2][5].abs().max().item<double>(), 0.0) << names[i] << ": padding must read 0";
  }
}

TEST_P(Golden, ReplacementEqualsHook) {
  ForwardRequest request = whole_request(reference);
  const at::Tensor values = reference.at("replace.value");
  Replacement replacement;
  replacement.site = parse_site("layers.1.mlp.value", model.config);
  replacement.at = {{0, 4}, {1, 2}};
  replacement.value = values;
  request.replace = {replacement};
  EXPECT_LT(max_difference(forward(model, request).logits, reference_logits("replace.set.logits")),
            kAgainstTransformers);

  replacement.site = parse_site("layers.0.out", model.config);
  replacement.mode = Replacement::Mode::kAdd;
  replacement.at = {{0, 3}, {2, 1}};
  replacement.value = values[0];
  request.replace = {replacement};
  const at::Tensor added = forward(model, request).logits;
  EXPECT_LT(max_difference(added, reference_logits("replace.add.logits")), kAgainstTransformers);

  replacement.at.clear();
  replacement.value = at::Tensor();
  replacement.callback = [&](const at::Tensor& seen) {
    EXPECT_EQ(seen.sizes(), at::IntArrayRef({3, 12, 32}));
    at::Tensor changed = seen.clone();
    changed[0][3] += values[0];
    changed[2][1] += values[0];
    return changed;
  };
  request.replace = {replacement};
  EXPECT_LT(max_difference(forward(model, request).logits, added), 1e-6);
}

TEST_P(Golden, BatchedEqualsSingle) {
  const ForwardRequest whole = whole_request(reference);
  const at::Tensor batched = forward(model, whole).logits;
  std::vector<at::Tensor> parts;
  for (std::int64_t row = 0; row < 3; ++row) {
    const std::int64_t length = whole.lengths[static_cast<std::size_t>(row)];
    ForwardRequest single;
    single.token_ids = whole.token_ids.narrow(0, row, 1).narrow(1, 0, length);
    for (std::int64_t t = 0; t < length; ++t) single.logits.push_back({0, t});
    parts.push_back(forward(model, single).logits);
  }
  EXPECT_LT(max_difference(batched, at::cat(parts)), 1e-4);
}

TEST_P(Golden, WhatStandsInThePaddingDoesNotMatter) {
  ForwardRequest request = whole_request(reference);
  const at::Tensor before = forward(model, request).logits;
  request.token_ids = request.token_ids.clone();
  request.token_ids.narrow(0, 2, 1).narrow(1, 3, 9).fill_(77);
  EXPECT_EQ(max_difference(forward(model, request).logits, before), 0.0);
}

// Splits every row into a prefix and a suffix of its own lengths, keeps the prefix, and runs the suffix from layer
// `start`.
void expect_cache_equals_full(const Model& model, const Reference& reference, std::int64_t start) {
  ForwardRequest whole = whole_request(reference);
  whole.capture = {start == 0 ? Site{SitePoint::kEmbedOut} : Site{SitePoint::kLayerOut, start - 1}};
  const ForwardResult full = forward(model, whole);

  const std::vector<std::int64_t> prefix = {5, 2, 1};
  ForwardRequest first;
  first.token_ids = whole.token_ids.narrow(1, 0, 5);
  first.lengths = prefix;
  first.return_cache = true;
  const Cache cache = forward(model, first).cache;
  EXPECT_EQ(cache.lengths(), prefix);

  // Rows 2, 0, 1 of the cache, continued in that order.
  const std::vector<std::int64_t> order = {2, 0, 1};
  ForwardRequest second;
  second.cache = &cache;
  second.cache_rows = order;
  second.first_layer = start;
  second.token_ids = at::zeros({3, 7}, at::kLong);
  const at::Tensor stream = at::zeros({3, 7, model.config.hidden});
  std::vector<at::Tensor> wanted;
  for (std::int64_t row = 0; row < 3; ++row) {
    const std::int64_t from = order[static_cast<std::size_t>(row)];
    const std::int64_t past = prefix[static_cast<std::size_t>(from)];
    const std::int64_t count = whole.lengths[static_cast<std::size_t>(from)] - past;
    second.lengths.push_back(count);
    second.token_ids[row].narrow(0, 0, count).copy_(whole.token_ids[from].narrow(0, past, count));
    stream[row].narrow(0, 0, count).copy_(full.captured[0][from].narrow(0, past, count));
    std::int64_t offset = past;
    for (std::int64_t before = 0; before < from; ++before) offset += whole.lengths[static_cast<std::size_t>(before)];
    for (std::int64_t t = 0; t < count; ++t) {
      second.logits.push_back({row, t});
      wanted.push_back(full.logits[offset + t]);
    }
  }
  if (start > 0) second.hidden = stream;
  const Work before = work();
  EXPECT_LT(max_difference(forward(model, second).logits, at::stack(wanted)), 1e-5);
  EXPECT_EQ((work() - before).layer_tokens, (7 + 5 + 2) * (model.config.layers - start));
}

TEST_P(Golden, CacheEqualsFullRun) { expect_cache_equals_full(model, reference, 0); }

TEST_P(Golden, CacheAndStartingLayerEqualFullRun) { expect_cache_equals_full(model, reference, 1); }

TEST_P(Golden, AContinuedCacheCanBeContinuedAgain) {
  const ForwardRequest whole = whole_request(reference);
  const at::Tensor full = forward(model, whole).logits;
  // Row by row 12, 7, 3 tokens in three calls of unequal pieces; the last calls leave rows of unequal lengths behind.
  const std::vector<std::vector<std::int64_t>> pieces = {{4, 1, 1}, {2, 4, 1}, {6, 2, 1}};
  Cache cache;
  std::vector<std::int64_t> done = {0, 0, 0};
  for (const std::vector<std::int64_t>& piece : pieces) {
    ForwardRequest request;
    const std::int64_t widest = *std::max_element(piece.begin(), piece.end());
    request.token_ids = at::zeros({3, widest}, at::kLong);
    request.lengths = piece;
    request.return_cache = true;
    request.cache = cache.empty() ? nullptr : &cache;
    std::vector<at::Tensor> wanted;
    std::int64_t offset = 0;
    for (std::int64_t row = 0; row < 3; ++row) {
      const auto r = static_cast<std::size_t>(row);
      request.token_ids[row].narrow(0, 0, piece[r]).copy_(whole.token_ids[row].narrow(0, done[r], piece[r]));
      for (std::int64_t t = 0; t < piece[r]; ++t) {
        request.logits.push_back({row, t});
        wanted.push_back(full[offset + done[r] + t]);
      }
      offset += whole.lengths[r];
      done[r] += piece[r];
    }
    ForwardResult result = forward(model, request);
    EXPECT_LT(max_difference(result.logits, at::stack(wanted)), 1e-5);
    const Cache next = result.cache;
    cache = next;
    EXPECT_EQ(cache.lengths(), done);
  }
}

TEST_P(Golden, StopLayerGivesTheSameStreamAndReadsItThroughTheHead) {
  ForwardRequest whole = whole_request(reference);
  whole.capture = {{SitePoint::kLayerOut, 0}};
  const ForwardResult full = forward(model, whole);
  ForwardRequest stopped = whole_request(reference);
  stopped.last_layer = 0;
  const Work before = work();
  const ForwardResult result = forward(model, stopped);
  EXPECT_EQ((work() - before).layer_tokens, 22);
  EXPECT_TRUE(equal_bits(result.hidden, full.captured[0]));

  ForwardRequest head_only;
  head_only.first_layer = model.config.layers;
  head_only.hidden = result.hidden;
  head_only.lengths = stopped.lengths;
  head_only.logits = stopped.logits;
  EXPECT_LT(max_difference(forward(model, head_only).logits, result.logits), 1e-6);
}

TEST_P(Golden, OverridesEqualChangedWeights) {
  at::manual_seed(7);
  for (const ParameterInfo& info : model.parameters.infos()) {
    if (info.layer > 0) continue;
    const at::Tensor& weight = model.parameters.at(info.name);
    const bool matrix = weight.dim() == 2;
    const at::Tensor u = matrix ? 0.3 * at::randn({weight.size(0), 2}) : at::Tensor();
    const at::Tensor v = matrix ? 0.3 * at::randn({weight.size(1), 2}) : at::Tensor();
    const at::Tensor changed = matrix ? weight + u.matmul(v.t()) : weight + 0.3 * at::randn_like(weight);
    ForwardRequest request = whole_request(reference);
    for (const RowPosition& position : request.logits) request.logprobs.push_back({position.row, position.position, 9});
    const ForwardResult wanted = forward(model.config, model.parameters.with(info.name, changed), request);
    request.overrides[info.name].dense = changed;
    EXPECT_EQ(max_difference(forward(model, request).logits, wanted.logits), 0.0) << info.name;
    if (!matrix) continue;
    request.overrides[info.name] = {.dense = {}, .u = u, .v = v};
    const ForwardResult low_rank = forward(model, request);
    EXPECT_LT(max_difference(low_rank.logits, wanted.logits), 1e-4) << info.name;
    EXPECT_LT(max_difference(low_rank.logprobs, wanted.logprobs), 1e-4) << info.name;
    EXPECT_GT(max_difference(low_rank.logits, forward(model, whole_request(reference)).logits), 1e-3) << info.name;
  }
}

TEST_P(Golden, Bfloat16WeightsStayNear) {
  OpenOptions options;
  options.dtype = at::kBFloat16;
  const Model half = open_model(golden_folder(GetParam()), options);
  const at::Tensor wanted = reference_logits();
  const at::Tensor logits = forward(half, whole_request(reference)).logits;
  EXPECT_EQ(logits.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_difference(logits, wanted), 0.05);
}

TEST_P(Golden, OnlyAskedLogitsAreComputed) {
  ForwardRequest request = whole_request(reference);
  request.logits = {{1, 6}};
  const Work before = work();
  const ForwardResult result = forward(model, request);
  const Work done = work() - before;
  EXPECT_EQ(done.head_rows, 1);
  EXPECT_EQ(done.forwards, 1);
  EXPECT_EQ(done.layer_tokens, 22 * model.config.layers);
  EXPECT_EQ(done.padded_layer_tokens, 36 * model.config.layers);
  EXPECT_EQ(result.logits.sizes(), at::IntArrayRef({1, 256}));
  EXPECT_FALSE(result.logprobs.defined());
  request.logits.clear();
  const Work again = work();
  EXPECT_FALSE(forward(model, request).logits.defined());
  EXPECT_EQ((work() - again).head_rows, 0);
}

class Refusals : public ::testing::Test {
 protected:
  const Reference reference{"llama_tied"};
  const Model model = open_model(golden_folder("llama_tied"));
  ForwardRequest request = whole_request(reference);

  void expect(ErrorCode code, const std::string& text) {
    try {
      forward(model, request);
      ADD_FAILURE() << "expected an error: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  }
};

TEST_F(Refusals, TokensRowsAndPositions) {
  request.token_ids = request.token_ids.clone();
  request.token_ids[1][2] = 256;
  expect(ErrorCode::kOutOfRange, "token 256 at row 1, position 2");
  request = whole_request(reference);
  request.logits = {{2, 3}};
  expect(ErrorCode::kOutOfRange, "position 3 of row 2, which has 3 tokens");
  request.logits = {{3, 0}};
  expect(ErrorCode::kOutOfRange, "row 3 of 3 rows");
  request.logits.clear();
  request.lengths = {12, 13, 1};
  expect(ErrorCode::kOutOfRange, "length 13 of row 1");
  request.lengths = {};
  request.token_ids = at::zeros({1, 129}, at::kLong);
  expect(ErrorCode::kOutOfRange, "the model's positions are 0 to 127");
}

// A token of Mistral sees the last sliding_window tokens: up to so many, all of them, and the numbers are exact.
TEST(SlidingWindow, LongerSequencesAreRefusedByName) {
  const Model mistral = open_model(golden_folder("mistral"));
  ForwardRequest request;
  request.token_ids = at::full({1, 96}, 5, at::kLong);
  request.logits = {{0, 95}};
  EXPECT_NO_THROW(forward(mistral, request));
  request.token_ids = at::full({1, 97}, 5, at::kLong);
  try {
    forward(mistral, request);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfRange);
    EXPECT_THAT(error.what(), HasSubstr("row 0 reaches position 96"));
    EXPECT_THAT(error.what(), HasSubstr("slides over 96 tokens (sliding_window in config.json)"));
  }
}

TEST_F(Refusals, LayersSitesAndCaches) {
  request.last_layer = 3;
  expect(ErrorCode::kOutOfRange, "last_layer 3: expected -1 to 2");
  request.last_layer = 0;
  request.capture = {{SitePoint::kMlpKey, 1}};
  expect(ErrorCode::kOutOfRange, "layers.1.mlp.key is not passed: the run covers layers 0 to 0");
  request.capture.clear();
  request.last_layer = -1;
  request.first_layer = 1;
  expect(ErrorCode::kInvalidArgument, "needs `hidden`");

  request = whole_request(reference);
  ForwardRequest first = request;
  first.last_layer = 1;
  first.return_cache = true;
  const Cache cache = forward(model, first).cache;
  request.cache = &cache;
  expect(ErrorCode::kOutOfRange, "the cache holds layers 0 to 1");
  request.last_layer = 1;
  request.logits.clear();
  request.cache_rows = {0, 1, 3};
  expect(ErrorCode::kOutOfRange, "cache row 3");
}

TEST_F(Refusals, ReplacementsAndOverrides) {
  Replacement replacement;
  replacement.site = {SitePoint::kMlpKey, 1};
  replacement.at = {{0, 1}};
  replacement.value = at::zeros({32});
  request.replace = {replacement};
  expect(ErrorCode::kInvalidArgument, "expected a value [64] or [1, 64]");
  request.replace[0].value = at::zeros({64});
  request.replace[0].at = {{0, 1}, {0, 1}};
  expect(ErrorCode::kInvalidArgument, "a position is set twice");
  request.replace.clear();
  request.overrides["layers.0.mlp.dwn.weight"].dense = at::zeros({32, 64});
  expect(ErrorCode::kNotFound, "did you mean \"layers.0.mlp.down.weight\"");
  request.overrides.clear();
  request.overrides["layers.0.mlp.down.weight"] = {.dense = {}, .u = at::zeros({64, 1}), .v = at::zeros({32, 1})};
  expect(ErrorCode::kInvalidArgument, "expected U [32, r] and V [64, r]");
}

// On a machine with a GPU every model is compared; elsewhere opening one there is an error, never quietly the CPU.
TEST(Device, LogitsOnCudaEqualThoseOnTheCpu) {
  const OpenOptions there{.device = at::Device(at::kCUDA, 0)};
  const bool has_device = at::hasCUDA() && at::getNumGPUs() > 0;
  std::size_t looked_at = 0;
  for (const std::string& name : golden_names()) {
    if (!has_device) {
      EXPECT_ANY_THROW(open_model(golden_folder(name), there)) << name;
      continue;
    }
    const ForwardRequest request = whole_request(Reference(name));
    const at::Tensor expected = forward(open_model(golden_folder(name)), request).logits;
    const at::Tensor logits = forward(open_model(golden_folder(name), there), request).logits;
    EXPECT_TRUE(logits.is_cuda()) << name;
    // Other kernels, other orders of sums.
    EXPECT_LT(max_difference(logits.to(at::kCPU), expected), 1e-3) << name;
    ++looked_at;
  }
  std::cout << (has_device ? "a CUDA device" : "no CUDA device in this libtorch") << "; looked at " << looked_at
            << " of " << golden_names().size() << " models" << std::endl;
}

}  // namespace
}  // namespace palimpsest::model
