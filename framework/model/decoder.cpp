#include "model/decoder.hpp"

#include <ATen/ATen.h>

#include "base/error.hpp"
#include "model/decoder_pass.hpp"
#include "model/work.hpp"

namespace palimpsest::model {
namespace {

constexpr std::int64_t kIgnored = -100;

}  // namespace

ForwardResult forward(const Config& config, const Parameters& parameters, const ForwardRequest& request) {
  Pass pass(config, parameters, request);
  pass.run();
  return pass.result();
}

at::Tensor causal_loss(const Config& config, const Parameters& parameters, const at::Tensor& token_ids,
                       const std::vector<std::int64_t>& lengths, const at::Tensor& labels, const Overrides& overrides,
                       bool recompute_layers) {
  if (!labels.defined() || !token_ids.defined() || labels.sizes() != token_ids.sizes() ||
      labels.scalar_type() != at::kLong) {
    fail(ErrorCode::kInvalidArgument, "labels must be int64 of token_ids' shape");
  }
  ForwardRequest request;
  request.token_ids = token_ids;
  request.lengths = lengths;
  request.overrides = overrides;
  request.recompute_layers = recompute_layers;
  Pass pass(config, parameters, request);

  const Batch& batch = pass.batch();
  const at::Tensor wanted = labels.to(at::kCPU).contiguous();
  const auto label = wanted.accessor<std::int64_t, 2>();
  std::vector<std::int64_t> places, targets;
  for (std::int64_t row = 0; row < batch.rows(); ++row) {
    for (std::int64_t t = 0; t + 1 < batch.lengths()[static_cast<std::size_t>(row)]; ++t) {
      if (label[row][t + 1] == kIgnored) continue;
      places.push_back(batch.place({row, t}, "labels"));
      targets.push_back(label[row][t + 1]);
    }
  }
  if (targets.empty()) fail(ErrorCode::kInvalidArgument, "no label counts: every row is -100 after its first token");

  pass.run(config.tied_head && overrides.empty());
  const at::Tensor rows = pass.final_rows(at::tensor(places, at::kLong).to(parameters.at("embed.weight").device()));
  count_work({.head_rows = static_cast<std::int64_t>(targets.size())});
  const at::Tensor target = at::tensor(targets, at::kLong).to(rows.device());
  const std::vector<HeadTerm> terms = pass.weights().head_terms(pass.head_name() + ".weight", rows);
  const at::Tensor bias = pass.weights().head_bias();
  if (terms.size() == 1) return cross_entropy(terms.front().x, terms.front().weight, target, bias);
  return target_logprobs(terms, target, bias).mean().neg();
}

}  // namespace palimpsest::model
