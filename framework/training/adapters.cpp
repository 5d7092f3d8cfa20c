#include "training/adapters.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.hpp"
#include "base/rng.hpp"

namespace palimpsest::training {
namespace {

using model::ParameterRole;

constexpr std::array<std::string_view, 3> kMethods = {"full", "lora", "dora"};
constexpr std::array kRoles = {ParameterRole::kAttentionQuery, ParameterRole::kAttentionKey,
                               ParameterRole::kAttentionValue, ParameterRole::kAttentionOut,
                               ParameterRole::kMlpGate,        ParameterRole::kMlpUp,
                               ParameterRole::kMlpDown};

at::Tensor leaf(const at::Tensor& values) { return values.contiguous().requires_grad_(true); }

// Kaiming-uniform with a = sqrt(5), as PEFT and torch's own linear layers: bound 1 / sqrt(in).
at::Tensor kaiming_uniform(std::int64_t rank, std::int64_t inputs, const at::TensorOptions& options, Rng& rng) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
  at::Tensor a = at::empty({rank, inputs}, at::kFloat);
  for (float *x = a.mutable_data_ptr<float>(), *end = x + a.numel(); x != end; ++x) {
    *x = static_cast<float>(bound * (2 * rng.uniform() - 1));
  }
  return a.to(options);
}

// x with `share` of its values set to 0 and the others raised for it. torch's own generator, so that masks of large
// inputs are drawn quickly; the same seed and shape give the same mask.
at::Tensor dropped(const at::Tensor& x, double share, std::uint64_t seed) {
  at::Tensor mask = at::empty(x.sizes(), at::kFloat);
  mask.bernoulli_(1 - share, at::detail::createCPUGenerator(seed)).div_(1 - share);
  return x * mask.to(x.device(), x.scalar_type());
}

}  // namespace

std::string_view name_of(TuningMethod method) { return kMethods[static_cast<std::size_t>(method)]; }

TuningMethod parse_tuning_method(std::string_view name) {
  for (std::size_t i = 0; i < kMethods.size(); ++i) {
    if (kMethods[i] == name) return static_cast<TuningMethod>(i);
  }
  fail(ErrorCode::kInvalidArgument, "tuning method: found \"", name, "\", expected full, lora or dora",
       did_you_mean(name, kMethods));
}

std::vector<ParameterRole> parse_targets(const std::vector<std::string>& names) {
  std::vector<std::string_view> known;
  for (const ParameterRole role : kRoles) known.push_back(model::name_of(role));
  std::vector<ParameterRole> roles;
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      fail(ErrorCode::kInvalidArgument, "tuning targets: found \"", name, "\", expected a matrix of a layer",
           did_you_mean(name, known));
    }
    roles.push_back(kRoles[static_cast<std::size_t>(found - known.begin())]);
  }
  return roles;
}

std::vector<std::size_t> adapted(const model::Parameters& parameters, const std::vector<Decision>& decisions,
                                 const TuningOptions& options) {
  std::vector<std::size_t> places;
  std::size_t targets = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const model::ParameterInfo& info = parameters.infos()[i];
    const bool wanted =
        !info.bias && std::find(options.targets.begin(), options.targets.end(), info.role) != options.targets.end();
    if (!wanted) continue;
    ++targets;
    if (decisions.at(i).frozen) continue;
    if (!decisions[i].projections.empty()) {
      fail(ErrorCode::kUnsupported, "the freeze policy projects the change of ", info.name, ", and method ",
           name_of(options.method), " has an adapter there: a projected B A is no adapter's any more. Leave ",
           model::name_of(info.role), " out of the targets, so that the matrix stays as it is, or use method full");
    }
    places.push_back(i);
  }
  if (places.empty()) {
    fail(ErrorCode::kInvalidArgument, "method ", name_of(options.method), " has nothing to train: the model has ",
         targets, " parameters of the target roles, and the freeze policy freezes ", targets == 0 ? "none" : "all",
         " of them; name other targets");
  }
  return places;
}

Adapters::Adapters(const model::Parameters& entering, const std::vector<Decision>& decisions,
                   const TuningOptions& options, std::uint64_t seed)
    : entering_(entering),
      method_(options.method),
      scaling_(options.alpha / static_cast<double>(options.rank)),
      dropout_(options.dropout) {
  if (options.method == TuningMethod::kFull || options.rank < 1 || !(options.alpha > 0) || !(options.dropout >= 0) ||
      !(options.dropout < 1)) {
    fail(ErrorCode::kInvalidArgument, "adapters: found method ", name_of(options.method), ", rank ", options.rank,
         ", alpha ", options.alpha, ", dropout ", options.dropout,
         "; expected lora or dora, a rank of at least 1, alpha above 0, dropout of at least 0 and below 1");
  }
  const c10::NoGradGuard no_grad;
  for (const std::size_t place : adapted(entering, decisions, options)) {
    const at::Tensor& weight = entering_[place];
    const std::string& name = entering_.infos()[place].name;
    const at::TensorOptions floats = weight.options().dtype(at::kFloat).requires_grad(false);
    Rng rng(seed, "training.adapters/" + name);
    Adapter adapter{place,
                    leaf(kaiming_uniform(options.rank, weight.size(1), floats, rng)),
                    leaf(at::zeros({weight.size(0), options.rank}, floats)),
                    {},
                    {}};
    trained_.insert(trained_.end(), {adapter.a, adapter.b});
    names_.insert(names_.end(), {name + ": A", name + ": B"});
    if (method_ == TuningMethod::kDora) {
      adapter.norm = row_norms(adapter);
      adapter.magnitude = leaf(adapter.norm.clone());
      trained_.push_back(adapter.magnitude);
      names_.push_back(name + ": m");
    }
    adapters_.push_back(std::move(adapter));
  }
  if (dropout_ > 0) dropout_seeds_.emplace(seed, "training.adapters.dropout");
}

at::Tensor Adapters::row_norms(const Adapter& adapter) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor whole = at::addmm(entering_[adapter.place], adapter.b.detach(), adapter.a.detach(), 1, scaling_);
  return at::linalg_vector_norm(whole, 2, at::IntArrayRef{1});
}

model::Overrides Adapters::overrides() {
  model::Overrides overrides;
  for (const Adapter& adapter : adapters_) {
    model::Override& made = overrides[entering_.infos()[adapter.place].name];
    made.u = adapter.b * scaling_;
    made.v = adapter.a.t();
    if (method_ == TuningMethod::kDora) made.row_scale = adapter.magnitude / adapter.norm;
    if (dropout_seeds_) {
      made.input = [seed = (*dropout_seeds_)(), share = dropout_](const at::Tensor& x) {
        return dropped(x, share, seed);
      };
    }
  }
  return overrides;
}

void Adapters::stepped() {
  if (method_ != TuningMethod::kDora) return;
  for (Adapter& adapter : adapters_) adapter.norm = row_norms(adapter);
}

model::Parameters Adapters::merged() const {
  const c10::NoGradGuard no_grad;
  model::Parameters parameters = entering_;
  for (const Adapter& adapter : adapters_) {
    at::Tensor weight = at::addmm(entering_[adapter.place], adapter.b.detach(), adapter.a.detach(), 1, scaling_);
    if (method_ == TuningMethod::kDora) weight.mul_((adapter.magnitude.detach() / adapter.norm).unsqueeze(1));
    parameters = parameters.with(entering_.infos()[adapter.place].name, weight);
  }
  return parameters;
}

}  // namespace palimpsest::training
