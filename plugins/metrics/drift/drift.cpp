// How far fine-tuning moved every parameter, and how much of the motion lies where the edit wrote.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "editing/directions.hpp"
#include "palimpsest/sdk/columns.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::drift {
namespace {

using editing::DirectionSide;

constexpr palimpsest_column kColumns[] = {
    sdk::plain_column("parameter", PALIMPSEST_TEXT, "", "Canonical name of the parameter."),
    sdk::plain_column("parameter_role", PALIMPSEST_TEXT, "", "Its part in the architecture, such as mlp_down."),
    sdk::plain_column("layer", PALIMPSEST_INT64, "1", "Layer counted from 0, or -1 for what belongs to none."),
    sdk::plain_column("is_edited", PALIMPSEST_BOOL, "1", "A recorded update changed it."),
    sdk::plain_column("weight_norm", PALIMPSEST_FLOAT64, "1", "Frobenius norm of the parameter at edited, |W_edited|."),
    sdk::plain_column("change_norm", PALIMPSEST_FLOAT64, "1",
                      "Frobenius norm of the change since edited, |D| with D = W - W_edited."),
    sdk::plain_column("relative_change", PALIMPSEST_FLOAT64, "1",
                      "The change relative to the weight, |D| / |W_edited|."),
    sdk::plain_column("update_norm", PALIMPSEST_FLOAT64, "1",
                      "Frobenius norm of dW, all recorded updates of the parameter together."),
    sdk::plain_column("along_update", PALIMPSEST_FLOAT64, "1",
                      "The change along the update, <D, dW> / |dW|^2: -1 takes the update back, 1 adds it again."),
    sdk::plain_column(
        "overlap_out", PALIMPSEST_FLOAT64, "1",
        "Share of the change in what the updates write, |Q Q^T D| / |D|, Q spanning their left singular vectors."),
    sdk::plain_column(
        "chance_out", PALIMPSEST_FLOAT64, "1",
        "What overlap_out is for a change without direction: the root of the share of dimensions that Q spans."),
    sdk::plain_column(
        "overlap_in", PALIMPSEST_FLOAT64, "1",
        "Share of the change in what the updates read, |D Q Q^T| / |D|, Q spanning their right singular vectors."),
    sdk::plain_column(
        "chance_in", PALIMPSEST_FLOAT64, "1",
        "What overlap_in is for a change without direction: the root of the share of dimensions that Q spans."),
};

// Rows in the tensor's own precision, over the rows in float64: a float32 sum over millions of squares loses digits.
double norm_of(const at::Tensor& x) {
  if (x.dim() < 2) return x.to(at::kDouble).norm().item<double>();
  return at::linalg_vector_norm(x, 2, at::IntArrayRef{1}).to(at::kDouble).norm().item<double>();
}

double product(const at::Tensor& a, const at::Tensor& b) { return (a * b).sum().item<double>(); }

// The sum of the recorded updates of one parameter, as it was recorded: float64, undefined where there is none.
struct Total {
  at::Tensor u, v;   // [out, r], [in, r]
  at::Tensor dense;  // of the parameter's shape

  double product_with(const at::Tensor& d) const {
    double sum = 0;
    if (u.defined()) sum += product(at::mm(d, v), u);
    if (dense.defined()) sum += product(d, dense);
    return sum;
  }
  double norm() const {
    double squares = 0;
    if (u.defined()) squares += product(at::mm(u.t(), u), at::mm(v.t(), v));
    if (dense.defined()) squares += product(dense, dense);
    if (u.defined() && dense.defined()) squares += 2 * product(at::mm(dense, v), u);
    return std::sqrt(std::max(0.0, squares));
  }
};

Total total_of(const std::vector<editing::MatrixUpdate>& updates, const at::Device& device) {
  Total total;
  std::vector<at::Tensor> u, v;
  for (const auto& update : updates) {
    if (!update.dense.defined()) {
      u.push_back(update.u.to(device, at::kDouble));
      v.push_back(update.v.to(device, at::kDouble));
      continue;
    }
    const at::Tensor dense = update.dense.to(device, at::kDouble);
    total.dense = total.dense.defined() ? total.dense + dense : dense;
  }
  if (!u.empty()) {
    total.u = at::cat(u, 1);
    total.v = at::cat(v, 1);
  }
  return total;
}

class Drift : public sdk::Metric {
 public:
  struct Parameters {
    double dense_energy = 0.9;
    bool only_edited = false;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("dense_energy", &Parameters::dense_energy,
                "Of a dense update, the leading directions that hold this share of its squared norm count as its "
                "subspace; of a low-rank one, always all.")
              .at_least(0)
              .at_most(1),
          field("only_edited", &Parameters::only_edited,
                "Rows for the parameters that an update changed, and for no others."));
    }
  };
  static constexpr sdk::Info kInfo{
      "drift", "1.0.0", "How far fine-tuning moved each parameter, and how much of it where the edit wrote."};

  Drift(sdk::Host, const Parameters& parameters) : p_(parameters) {}

  std::uint32_t when() const override { return PALIMPSEST_WHEN_STEP | PALIMPSEST_WHEN_FINETUNED; }
  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    const c10::NoGradGuard no_grad;
    const auto recorded = request.model.updates();
    std::map<std::string_view, std::vector<editing::MatrixUpdate>> updates;
    for (const auto& update : recorded) {
      const auto tensor = [](const sdk::Tensor& t) { return t ? sdk::torch_tensor(t) : at::Tensor(); };
      updates[update.parameter].push_back({tensor(update.u), tensor(update.v), tensor(update.dense)});
    }
    for (const auto& parameter : request.model.parameters()) {
      const auto found = updates.find(parameter.name);
      const bool edited = found != updates.end();
      if (!edited && p_.only_edited) continue;
      rows.row(-1, row_of(request.model, parameter, edited ? found->second : std::vector<editing::MatrixUpdate>()));
    }
  }

 private:
  std::vector<sdk::Value> row_of(const sdk::Model& model, const sdk::ParameterInfo& parameter,
                                 const std::vector<editing::MatrixUpdate>& updates) const {
    const sdk::Tensor now = model.parameter(parameter.name),
                      then = model.parameter(parameter.name, sdk::Stage::kEdited);
    const at::Tensor current = sdk::torch_tensor(now), before = sdk::torch_tensor(then);
    const double weight = norm_of(before.to(at::kFloat));
    // A frozen parameter is the very same memory.
    const bool moved = current.const_data_ptr() != before.const_data_ptr();
    at::Tensor change;
    double change_norm = 0;
    if (moved) {
      change = current.to(at::kFloat) - before.to(at::kFloat);
      change_norm = norm_of(change);
    }
    std::vector<sdk::Value> row = {std::string(parameter.name),
                                   std::string(parameter.role),
                                   parameter.layer,
                                   !updates.empty(),
                                   weight,
                                   change_norm,
                                   weight > 0 ? sdk::Value(change_norm / weight) : sdk::missing};
    if (updates.empty()) {
      row.resize(std::size(kColumns), sdk::missing);
      return row;
    }
    const Total total = total_of(updates, before.device());
    const double update_norm = total.norm();
    const bool changed = change_norm > 0;
    if (changed) change = change.to(at::kDouble);
    row.emplace_back(update_norm);
    row.push_back(update_norm == 0 ? sdk::missing
                  : changed        ? sdk::Value(total.product_with(change) / (update_norm * update_norm))
                                   : sdk::Value(0.0));
    for (const auto side : {DirectionSide::kOut, DirectionSide::kIn}) {
      if (before.dim() != 2 || update_norm == 0) {
        row.insert(row.end(), {sdk::missing, sdk::missing});
        continue;
      }
      const bool out = side == DirectionSide::kOut;
      const at::Tensor basis = editing::directions(updates, side, p_.dense_energy).to(before.device());
      row.push_back(changed
                        ? sdk::Value((out ? at::mm(basis.t(), change) : at::mm(change, basis)).norm().item<double>() /
                                     change.norm().item<double>())
                        : sdk::missing);
      row.emplace_back(std::sqrt(static_cast<double>(basis.size(1)) / static_cast<double>(basis.size(0))));
    }
    return row;
  }

  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::drift

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::drift::Drift>)
