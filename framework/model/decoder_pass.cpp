#include "model/decoder_pass.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.hpp"
#include "model/mlp.hpp"
#include "model/normalisation.hpp"
#include "model/work.hpp"

namespace palimpsest::model {

Weights::Weights(const Parameters& parameters, const Overrides& overrides)
    : parameters_(parameters), overrides_(overrides) {
  for (const auto& [name, change] : overrides) {
    const ParameterInfo& info = parameters.info(name);
    const at::IntArrayRef shape(info.shape);
    const bool low_rank = change.u.defined() || change.v.defined();
    if (change.dense.defined() == low_rank) {
      fail(ErrorCode::kInvalidArgument, "override of ", name, ": give either a dense tensor or U and V");
    }
    if (change.dense.defined()) {
      if (change.dense.sizes() != shape) {
        fail(ErrorCode::kInvalidArgument, "override of ", name, ": expected shape ", shape, ", found ",
             change.dense.sizes());
      }
      continue;
    }
    if (shape.size() != 2) {
      fail(ErrorCode::kInvalidArgument, "override of ", name, ": it is a vector, which takes a dense override only");
    }
    if (!change.u.defined() || !change.v.defined() || change.u.dim() != 2 || change.v.dim() != 2 ||
        change.u.size(0) != shape[0] || change.v.size(0) != shape[1] || change.u.size(1) != change.v.size(1)) {
      fail(ErrorCode::kInvalidArgument, "override of ", name, ": expected U [", shape[0], ", r] and V [", shape[1],
           ", r], found ", change.u.defined() ? cat(change.u.sizes()) : "no U", " and ",
           change.v.defined() ? cat(change.v.sizes()) : "no V");
    }
    if (!change.row_scale.defined() && !change.input) continue;
    if (info.layer < 0 || (change.row_scale.defined() && change.row_scale.sizes() != at::IntArrayRef{shape[0]})) {
      fail(ErrorCode::kInvalidArgument, "override of ", name,
           ": a row_scale or an input is for a layer's matrix, and a ", "row_scale has shape [", shape[0], "]");
    }
  }
}

const Override* Weights::override_of(const std::string& name) const {
  if (overrides_.empty()) return nullptr;
  const auto it = overrides_.find(name);
  return it == overrides_.end() ? nullptr : &it->second;
}

const at::Tensor* Weights::find_dense(const std::string& name) const {
  if (const Override* change = override_of(name); change != nullptr && change->dense.defined()) return &change->dense;
  return parameters_.find(name);
}

const at::Tensor& Weights::dense(const std::string& name) const {
  if (const at::Tensor* found = find_dense(name)) return *found;
  return parameters_.at(name);
}

at::Tensor Weights::linear(const std::string& stem, const at::Tensor& x) const {
  const std::string name = stem + ".weight";
  const at::Tensor* bias = find_dense(stem + ".bias");
  const Override* change = override_of(name);
  const bool low_rank = change != nullptr && change->u.defined();
  const bool scaled = low_rank && change->row_scale.defined();
  const bool bias_last = scaled && bias != nullptr;  // the bias is not scaled
  at::Tensor y = at::linear(x, dense(name), bias == nullptr || bias_last ? std::nullopt : std::make_optional(*bias));
  if (!low_rank) return y;
  const at::Tensor read = change->input ? change->input(x) : x;
  at::Tensor changed = at::linear(at::linear(read, change->v.t()), change->u);
  if (!scaled) {
    y = y + changed;
  } else if (!change->input) {
    y = (y + changed) * change->row_scale;
  } else {
    y = y + (change->row_scale - 1) * at::linear(read, dense(name)) + change->row_scale * changed;
  }
  return bias_last ? y + *bias : y;
}

at::Tensor Weights::rows(const std::string& name, const at::Tensor& ids, bool sparse) const {
  const at::Tensor& table = dense(name);
  // The gradient of a frequent token is a sum over its places, which bfloat16 would stop at 256 ones.
  const bool widen =
      at::isReducedFloatingType(table.scalar_type()) && table.requires_grad() && at::GradMode::is_enabled();
  at::Tensor rows = widen ? at::embedding(table.to(at::kFloat), ids).to(table.scalar_type())
                          : at::embedding(table, ids, -1, false, sparse);
  if (const Override* change = override_of(name); change != nullptr && change->u.defined()) {
    rows = rows + at::linear(at::embedding(change->u, ids), change->v);
  }
  return rows;
}

std::vector<HeadTerm> Weights::head_terms(const std::string& name, const at::Tensor& x) const {
  std::vector<HeadTerm> terms = {{x, dense(name)}};
  if (const Override* change = override_of(name); change != nullptr && change->u.defined()) {
    terms.push_back({at::linear(x, change->v.t()), change->u});
  }
  if (const at::Tensor* bias = find_dense("head.bias")) {
    // A bias is one more column, read with 1. It goes with the low-rank columns, which are few: the weight is not
    // copied.
    const HeadTerm column = {at::ones({x.size(0), 1}, x.options()), bias->unsqueeze(1)};
    if (terms.size() == 1) {
      terms.push_back(column);
    } else {
      terms[1] = {at::cat({terms[1].x, column.x}, 1), at::cat({terms[1].weight, column.weight}, 1)};
    }
  }
  return terms;
}

Batch::Batch(std::int64_t rows, std::int64_t tokens, std::vector<std::int64_t> lengths, at::Device device)
    : rows_(rows), tokens_(tokens), lengths_(std::move(lengths)) {
  bool padded = false;
  for (const std::int64_t length : lengths_) {
    offsets_.push_back(count_);
    count_ += length;
    padded = padded || length != tokens_;
  }
  if (!padded) return;
  std::vector<std::int64_t> index;
  index.reserve(static_cast<std::size_t>(count_));
  for (std::int64_t row = 0; row < rows_; ++row) {
    for (std::int64_t t = 0; t < lengths_[static_cast<std::size_t>(row)]; ++t) index.push_back(row * tokens_ + t);
  }
  index_ = at::tensor(index, at::kLong).to(device);
}

at::Tensor Batch::pack(const at::Tensor& padded) const {
  const at::Tensor flat = padded.flatten(0, 1);
  return index_.defined() ? flat.index_select(0, index_) : flat;
}

at::Tensor Batch::unpack(const at::Tensor& packed) const {
  std::vector<std::int64_t> shape = packed.sizes().vec();
  shape.front() = rows_ * tokens_;
  const at::Tensor flat = index_.defined() ? at::zeros(shape, packed.options()).index_copy(0, index_, packed) : packed;
  return flat.unflatten(0, {rows_, tokens_});
}

std::int64_t Batch::place(const RowPosition& position, std::string_view what) const {
  if (position.row < 0 || position.row >= rows_) {
    fail(ErrorCode::kOutOfRange, what, ": row ", position.row, " of ", rows_, " rows");
  }
  const auto row = static_cast<std::size_t>(position.row);
  if (position.position < 0 || position.position >= lengths_[row]) {
    fail(ErrorCode::kOutOfRange, what, ": position ", position.position, " of row ", position.row, ", which has ",
         lengths_[row], " tokens");
  }
  return offsets_[row] + position.position;
}

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
    past_ = *past;
  } else if (request.cache != nullptr || request.return_cache) {
    own_memory_ = std::make_unique<CacheMemory>(request.cache, request.cache_rows, batch_.lengths(),
                                                request.return_cache, device_);
    past_.memory = own_memory_.get();
    past_.lengths = own_memory_->past_lengths();
    past_.causal = request.cache == nullptr;
    if (!past_.causal) past_.mask = own_memory_->mask(batch_.tokens(), weights_.dense("embed.weight").scalar_type());
  }
  std::vector<std::int64_t> positions;
  positions.reserve(static_cast<std::size_t>(batch_.count()));
  for (std::int64_t row = 0; row < batch_.rows(); ++row) {
    const auto r = static_cast<std::size_t>(row);
    const std::int64_t begin = past_.lengths.empty() ? 0 : past_.lengths[r];
    if (begin + batch_.lengths()[r] > config.max_positions) {
      fail(ErrorCode::kOutOfRange, "row ", row, " reaches position ", begin + batch_.lengths()[r] - 1, "; ",
           config.limit_text());
    }
    for (std::int64_t t = 0; t < batch_.lengths()[r]; ++t) positions.push_back(begin + t);
  }
  positions_ = at::tensor(positions, at::kLong).to(device_);
  if (config.positions == PositionScheme::kRotary && end_layer_ > first_layer_) {
    rotary_ = rotary_table(config.rotary, config.head_dim, positions_);
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
  batch_ = Batch(rows, tokens, std::move(lengths), device_);

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
  for (const RowPosition& position : positions) index.push_back(batch_.place(position, what));
  return at::tensor(index, at::kLong).to(device_);
}

at::Tensor Pass::replaced(const Replacement& replacement, const at::Tensor& x) const {
  const std::string where = cat("replacement at ", to_string(replacement.site));
  if (replacement.callback) {
    const at::Tensor before = batch_.unpack(x);
    const at::Tensor after = replacement.callback(before);
    if (!after.defined() || after.sizes() != before.sizes()) {
      fail(ErrorCode::kInvalidArgument, where, ": the callback must give ", before.sizes(), ", found ",
           after.defined() ? cat(after.sizes()) : "no tensor");
    }
    return batch_.pack(after.to(x.device(), x.scalar_type()));
  }
  if (replacement.at.empty()) return x;
  std::vector<std::int64_t> index;
  for (const RowPosition& position : replacement.at) index.push_back(batch_.place(position, where));
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
    if (request_.capture[i] == site) captured_[i] = batch_.unpack(x);
  }
  return x;
}

bool Pass::visited(SitePoint point) const {
  return std::any_of(request_.capture.begin(), request_.capture.end(),
                     [point](const Site& site) { return site.point == point; }) ||
         std::any_of(request_.replace.begin(), request_.replace.end(),
                     [point](const Replacement& replacement) { return replacement.site.point == point; });
}

at::Tensor Pass::norm(const std::string& stem, const at::Tensor& x) const {
  const at::Tensor& weight = weights_.dense(stem + ".weight");
  if (config_.norm == NormKind::kRms) return rms_norm(x, weight, config_.norm_eps);
  const at::Tensor* bias = weights_.find_dense(stem + ".bias");
  return layer_norm(x, weight, bias == nullptr ? at::Tensor() : *bias, config_.norm_eps);
}

at::Tensor Pass::embed(bool sparse) const {
  const at::Tensor ids = batch_.pack(request_.token_ids.to(device_));
  at::Tensor x = weights_.rows("embed.weight", ids, sparse);
  if (config_.positions == PositionScheme::kLearned) x = x + weights_.rows("positions.weight", positions_);
  return x;
}

at::Tensor Pass::attention(const std::string& stem, std::int64_t number, const at::Tensor& x) const {
  const std::int64_t width = config_.head_dim;
  at::Tensor query = weights_.linear(stem + "attention.query", x).unflatten(-1, {config_.heads, width});
  at::Tensor key = weights_.linear(stem + "attention.key", x).unflatten(-1, {config_.kv_heads, width});
  at::Tensor value = weights_.linear(stem + "attention.value", x).unflatten(-1, {config_.kv_heads, width});
  if (config_.qk_norm) {
    query = rms_norm(query, weights_.dense(stem + "attention.query_norm.weight"), config_.norm_eps);
    key = rms_norm(key, weights_.dense(stem + "attention.key_norm.weight"), config_.norm_eps);
  }
  if (config_.positions == PositionScheme::kRotary) {
    query = rotate(query, rotary_);
    key = rotate(key, rotary_);
  }
  key = batch_.unpack(key).transpose(1, 2);
  value = batch_.unpack(value).transpose(1, 2);
  if (past_.memory != nullptr) std::tie(key, value) = past_.memory->extend(number, key, value);
  const at::Tensor out = attend(batch_.unpack(query), key, value, past_.mask, past_.causal);
  return weights_.linear(stem + "attention.out", batch_.pack(out));
}

at::Tensor Pass::layer(std::int64_t number, const at::Tensor& x) {
  const std::string stem = cat("layers.", number, ".");
  at::Tensor normed = norm(stem + "attention_norm", x);
  const at::Tensor mixed = visit(SitePoint::kAttentionOut, number, attention(stem, number, normed));
  at::Tensor residual = x + mixed;
  if (config_.mlp_norm) normed = norm(stem + "mlp_norm", config_.parallel_block ? x : residual);
  at::Tensor gate;
  if (config_.gated_mlp) gate = weights_.linear(stem + "mlp.gate", normed);
  at::Tensor key = mlp_key(config_.activation, std::move(gate), weights_.linear(stem + "mlp.up", normed));
  key = visit(SitePoint::kMlpKey, number, std::move(key));
  const at::Tensor value = visit(SitePoint::kMlpValue, number, weights_.linear(stem + "mlp.down", key));
  return visit(SitePoint::kLayerOut, number, residual + value);
}

void Pass::run(bool sparse_embedding) {
  if (first_layer_ == 0) {
    hidden_ = visit(SitePoint::kEmbedOut, -1, embed(sparse_embedding));
  } else {
    hidden_ = batch_.pack(request_.hidden.to(device_, weights_.dense("embed.weight").scalar_type()));
  }
  for (std::int64_t number = first_layer_; number < end_layer_; ++number) hidden_ = layer(number, hidden_);
  if (visited(SitePoint::kFinalOut)) final_ = visit(SitePoint::kFinalOut, -1, norm("final_norm", hidden_));
  const std::int64_t layers = end_layer_ - first_layer_;
  count_work({.forwards = 1,
              .layer_tokens = batch_.count() * layers,
              .padded_layer_tokens = batch_.rows() * batch_.tokens() * layers});
}

at::Tensor Pass::final_rows(const at::Tensor& chosen) const {
  if (final_.defined()) return chosen.defined() ? final_.index_select(0, chosen) : final_;
  return norm("final_norm", chosen.defined() ? hidden_.index_select(0, chosen) : hidden_);
}

ForwardResult Pass::result() {
  ForwardResult result;
  if (!request_.logits.empty()) {
    const at::Tensor rows = final_rows(places(request_.logits, "logits"));
    result.logits = weights_.linear(head_name(), rows);
    // A tied head's weight brings no bias with it.
    if (config_.tied_head && config_.head_bias) result.logits = result.logits + weights_.dense("head.bias");
  }
  if (!request_.logprobs.empty()) {
    std::vector<RowPosition> positions;
    std::vector<std::int64_t> targets;
    for (const TargetPosition& asked : request_.logprobs) {
      positions.push_back({asked.row, asked.position});
      targets.push_back(asked.target);
    }
    const at::Tensor rows = final_rows(places(positions, "logprobs"));
    result.logprobs =
        target_logprobs(weights_.head_terms(head_name() + ".weight", rows), at::tensor(targets, at::kLong));
  }
  count_work({.head_rows = static_cast<std::int64_t>(request_.logits.size() + request_.logprobs.size())});
  result.captured = std::move(captured_);
  result.hidden = batch_.unpack(hidden_);
  if (own_memory_ != nullptr && request_.return_cache) result.cache = own_memory_->take();
  return result;
}

}  // namespace palimpsest::model
