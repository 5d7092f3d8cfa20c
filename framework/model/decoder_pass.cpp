#include "model/decoder_pass.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.hpp"
#include "model/recomputed_layer.hpp"
#include "model/work.hpp"

namespace palimpsest::model {

Pass::Pass(const Config& config, const Parameters& parameters, const ForwardRequest& request, const Past* past)
    : config_(config),
      weights_(parameters, request.overrides),
      request_(request),
      device_(parameters.at("embed.weight").device()),
      first_layer_(request.first_layer),
      end_layer_(request.last_layer < 0 ? config.layers : request.last_layer + 1) {
  check_request();
  check_sites();
  if (past != nullptr) {
    tokens_.past = *past;
  } else if (request.cache != nullptr || request.return_cache) {
    own_memory_ = std::make_unique<CacheMemory>(request.cache, request.cache_rows, tokens_.batch.lengths(),
                                                request.return_cache, device_);
    tokens_.past.memory = own_memory_.get();
    tokens_.past.lengths = own_memory_->past_lengths();
    tokens_.past.causal = request.cache == nullptr;
    if (!tokens_.past.causal) {
      tokens_.past.mask = own_memory_->mask(tokens_.batch.tokens(), weights_.dense("embed.weight").scalar_type());
    }
  }
  std::vector<std::int64_t> positions;
  positions.reserve(static_cast<std::size_t>(tokens_.batch.count()));
  for (std::int64_t row = 0; row < tokens_.batch.rows(); ++row) {
    const auto r = static_cast<std::size_t>(row);
    const std::int64_t begin = tokens_.past.lengths.empty() ? 0 : tokens_.past.lengths[r];
    if (begin + tokens_.batch.lengths()[r] > config.max_positions) {
      fail(ErrorCode::kOutOfRange, "row ", row, " reaches position ", begin + tokens_.batch.lengths()[r] - 1, "; ",
           config.limit_text());
    }
    for (std::int64_t t = 0; t < tokens_.batch.lengths()[r]; ++t) positions.push_back(begin + t);
  }
  positions_ = at::tensor(positions, at::kLong).to(device_);
  if (config.positions == PositionScheme::kRotary && end_layer_ > first_layer_) {
    tokens_.rotary = rotary_table(config.rotary, config.head_dim, positions_);
  }
  captured_.resize(request.capture.size());
}

void Pass::check_request() {
  const std::int64_t last_layer = config_.layers - 1;
  if (first_layer_ < 0 || first_layer_ > config_.layers) {
    fail(ErrorCode::kOutOfRange, "first_layer ", first_layer_, ": the model's layers are 0 to ", last_layer);
  }
  if (end_layer_ > config_.layers || end_layer_ < first_layer_) {
    fail(ErrorCode::kOutOfRange, "last_layer ", end_layer_ - 1, ": expected ", first_layer_ - 1, " to ", last_layer,
         " when the run starts at layer ", first_layer_);
  }
  const bool from_hidden = first_layer_ > 0;
  if (from_hidden != request_.hidden.defined()) {
    fail(ErrorCode::kInvalidArgument, from_hidden ? "first_layer above 0 needs `hidden`, the layer's input"
                                                  : "`hidden` is for a first_layer above 0");
  }
  const at::Tensor& shaped = from_hidden ? request_.hidden : request_.token_ids;
  if (!shaped.defined() || shaped.dim() != (from_hidden ? 3 : 2) || shaped.numel() == 0 ||
      (from_hidden && shaped.size(2) != config_.hidden)) {
    fail(
        ErrorCode::kInvalidArgument,
        from_hidden ? cat("expected hidden [rows, tokens, ", config_.hidden, "]") : "expected token_ids [rows, tokens]",
        ", found ", shaped.defined() ? cat(shaped.sizes()) : "no tensor");
  }
  const std::int64_t rows = shaped.size(0), tokens = shaped.size(1);
  std::vector<std::int64_t> lengths = request_.lengths;
  if (lengths.empty()) lengths.assign(static_cast<std::size_t>(rows), tokens);
  if (static_cast<std::int64_t>(lengths.size()) != rows) {
    fail(ErrorCode::kInvalidArgument, lengths.size(), " lengths for ", rows, " rows");
  }
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    if (lengths[row] < 1 || lengths[row] > tokens) {
      fail(ErrorCode::kOutOfRange, "length ", lengths[row], " of row ", row, ": expected 1 to ", tokens);
    }
  }
  tokens_.batch = Batch(rows, tokens, std::move(lengths), device_);

  if (!from_hidden) {
    if (request_.token_ids.scalar_type() != at::kLong) {
      fail(ErrorCode::kInvalidArgument, "token_ids must be int64, found ",
           at::toString(request_.token_ids.scalar_type()));
    }
    const at::Tensor ids = request_.token_ids.to(at::kCPU).contiguous();
    const std::int64_t* values = ids.const_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < ids.numel(); ++i) {
      if (values[i] < 0 || values[i] >= config_.vocabulary) {
        fail(ErrorCode::kOutOfRange, "token ", values[i], " at row ", i / tokens, ", position ", i % tokens,
             ": the vocabulary is 0 to ", config_.vocabulary - 1);
      }
    }
  }
  if (request_.cache != nullptr) {
    const Cache& cache = *request_.cache;
    if (end_layer_ > first_layer_ && (cache.first_layer() > first_layer_ || cache.end_layer() < end_layer_)) {
      fail(ErrorCode::kOutOfRange, "layers ", first_layer_, " to ", end_layer_ - 1, " run, and the cache holds layers ",
           cache.first_layer(), " to ", cache.end_layer() - 1);
    }
    const std::vector<std::int64_t>& chosen = request_.cache_rows;
    if (static_cast<std::int64_t>(chosen.empty() ? cache.rows() : static_cast<std::int64_t>(chosen.size())) != rows) {
      fail(ErrorCode::kInvalidArgument, rows, " rows continue ",
           chosen.empty() ? cat("a cache of ", cache.rows(), " rows; give cache_rows")
                          : cat(chosen.size(), " cache_rows"));
    }
    for (const std::int64_t row : chosen) {
      if (row < 0 || row >= cache.rows()) {
        fail(ErrorCode::kOutOfRange, "cache row ", row, ": the cache has ", cache.rows(), " rows");
      }
    }
  } else if (!request_.cache_rows.empty()) {
    fail(ErrorCode::kInvalidArgument, "cache_rows are given without a cache");
  }
}

void Pass::check_sites() const {
  const auto check = [this](const Site& site) {
    bool passed = true;
    switch (site.point) {
      case SitePoint::kEmbedOut: passed = first_layer_ == 0; break;
      case SitePoint::kFinalOut: break;
      default: passed = site.layer >= first_layer_ && site.layer < end_layer_;
    }
    if (!passed) {
      fail(ErrorCode::kOutOfRange, "site ", to_string(site), " is not passed: the run covers ",
           end_layer_ > first_layer_ ? cat("layers ", first_layer_, " to ", end_layer_ - 1) : "no layer");
    }
  };
  for (const Site& site : request_.capture) check(site);
  for (const Replacement& replacement : request_.replace) {
    check(replacement.site);
    if (replacement.callback) continue;
    const std::int64_t width = site_width(replacement.site, config_);
    const at::Tensor& value = replacement.value;
    const bool one = value.defined() && value.dim() == 1 && value.size(0) == width;
    const bool many = value.defined() && value.dim() == 2 && value.size(1) == width &&
                      value.size(0) == static_cast<std::int64_t>(replacement.at.size());
    if (!one && !many) {
      fail(ErrorCode::kInvalidArgument, "replacement at ", to_string(replacement.site), ": expected a value [", width,
           "] or [", replacement.at.size(), ", ", width, "], found ",
           value.defined() ? cat(value.sizes()) : "no tensor");
    }
  }
}

at::Tensor Pass::places(const std::vector<RowPosition>& positions, std::string_view what) const {
  std::vector<std::int64_t> index;
  index.reserve(positions.size());
  for (const RowPosition& position : positions) index.push_back(tokens_.batch.place(position, what));
  return at::tensor(index, at::kLong).to(device_);
}

at::Tensor Pass::replaced(const Replacement& replacement, const at::Tensor& x) const {
  const std::string where = cat("replacement at ", to_string(replacement.site));
  if (replacement.callback) {
    const at::Tensor before = tokens_.batch.unpack(x);
    const at::Tensor after = replacement.callback(before);
    if (!after.defined() || after.sizes() != before.sizes()) {
      fail(ErrorCode::kInvalidArgument, where, ": the callback must give ", before.sizes(), ", found ",
           after.defined() ? cat(after.sizes()) : "no tensor");
    }
    return tokens_.batch.pack(after.to(x.device(), x.scalar_type()));
  }
  if (replacement.at.empty()) return x;
  std::vector<std::int64_t> index;
  for (const RowPosition& position : replacement.at) index.push_back(tokens_.batch.place(position, where));
  if (replacement.mode == Replacement::Mode::kSet) {
    std::vector<std::int64_t> sorted = index;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
      fail(ErrorCode::kInvalidArgument, where, ": a position is set twice");
    }
  }
  const at::Tensor at_places = at::tensor(index, at::kLong).to(device_);
  const at::Tensor values =
      replacement.value.to(x.device(), x.scalar_type()).expand({static_cast<std::int64_t>(index.size()), x.size(1)});
  return replacement.mode == Replacement::Mode::kSet ? x.index_copy(0, at_places, values)
                                                     : x.index_add(0, at_places, values);
}

at::Tensor Pass::visit(SitePoint point, std::int64_t layer, at::Tensor x) {
  const Site site{point, layer};
  for (const Replacement& replacement : request_.replace) {
    if (replacement.site == site) x = replaced(replacement, x);
  }
  for (std::size_t i = 0; i < request_.capture.size(); ++i) {
    if (request_.capture[i] == site) captured_[i] = tokens_.batch.unpack(x);
  }
  return x;
}

bool Pass::visited(SitePoint point) const {
  return std::any_of(request_.capture.begin(), request_.capture.end(),
                     [point](const Site& site) { return site.point == point; }) ||
         std::any_of(request_.replace.begin(), request_.replace.end(),
                     [point](const Replacement& replacement) { return replacement.site.point == point; });
}

bool Pass::visited(std::int64_t layer) const {
  return std::any_of(request_.capture.begin(), request_.capture.end(),
                     [layer](const Site& site) { return site.layer == layer; }) ||
         std::any_of(request_.replace.begin(), request_.replace.end(),
                     [layer](const Replacement& replacement) { return replacement.site.layer == layer; });
}

at::Tensor Pass::embed(bool sparse) const {
  const at::Tensor ids = tokens_.batch.pack(request_.token_ids.to(device_));
  at::Tensor x = weights_.rows("embed.weight", ids, sparse);
  if (config_.positions == PositionScheme::kLearned) x = x + weights_.rows("positions.weight", positions_);
  return x;
}

at::Tensor Pass::layer(std::int64_t number, const at::Tensor& x) {
  // A second run would extend a memory again, and call replacements again.
  if (request_.recompute_layers && tokens_.past.memory == nullptr && !visited(number)) {
    return run_recomputed_layer(config_, weights_, tokens_, number, x);
  }
  return run_layer(config_, weights_, tokens_, number, x, [this, number](SitePoint point, at::Tensor value) {
    return visit(point, number, std::move(value));
  });
}

void Pass::run(bool sparse_embedding) {
  if (first_layer_ == 0) {
    hidden_ = visit(SitePoint::kEmbedOut, -1, embed(sparse_embedding));
  } else {
    hidden_ = tokens_.batch.pack(request_.hidden.to(device_, weights_.dense("embed.weight").scalar_type()));
  }
  for (std::int64_t number = first_layer_; number < end_layer_; ++number) hidden_ = layer(number, hidden_);
  if (visited(SitePoint::kFinalOut)) {
    final_ = visit(SitePoint::kFinalOut, -1, run_norm(config_, weights_, "final_norm", hidden_));
  }
  const std::int64_t layers = end_layer_ - first_layer_;
  count_work({.forwards = 1,
              .layer_tokens = tokens_.batch.count() * layers,
              .padded_layer_tokens = tokens_.batch.rows() * tokens_.batch.tokens() * layers});
}

at::Tensor Pass::final_rows(const at::Tensor& chosen) const {
  if (final_.defined()) return chosen.defined() ? final_.index_select(0, chosen) : final_;
  return run_norm(config_, weights_, "final_norm", chosen.defined() ? hidden_.index_select(0, chosen) : hidden_);
}

ForwardResult Pass::result() {
  ForwardResult result;
  if (!request_.logits.empty()) {
    const at::Tensor rows = final_rows(places(request_.logits, "logits"));
    result.logits = weights_.linear(head_name() + ".weight", weights_.find_dense("head.bias"), rows);
  }
  if (!request_.logprobs.empty()) {
    std::vector<RowPosition> positions;
    std::vector<std::int64_t> targets;
    for (const TargetPosition& asked : request_.logprobs) {
      positions.push_back({asked.row, asked.position});
      targets.push_back(asked.target);
    }
    const at::Tensor rows = final_rows(places(positions, "logprobs"));
    result.logprobs = target_logprobs(weights_.head_terms(head_name() + ".weight", rows),
                                      at::tensor(targets, at::kLong), weights_.head_bias());
  }
  count_work({.head_rows = static_cast<std::int64_t>(request_.logits.size() + request_.logprobs.size())});
  result.captured = std::move(captured_);
  result.hidden = tokens_.batch.unpack(hidden_);
  if (own_memory_ != nullptr && request_.return_cache) result.cache = own_memory_->take();
  return result;
}

}  // namespace palimpsest::model
