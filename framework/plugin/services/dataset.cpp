// dataset/1
#include <cstddef>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

const TextDataset& dataset_of(const palimpsest_dataset* dataset) {
  return *reinterpret_cast<const TextDataset*>(dataset);
}

palimpsest_status open(const palimpsest_host* host, const palimpsest_dataset_request* raw, palimpsest_dataset** out) {
  return guarded([&] {
    HostContext& context = context_of(host);
    refuse_in_compute(context.store_scope, 0, "dataset/1");
    if (!context.session || !context.session->open_dataset)
      fail(ErrorCode::kUnsupported, "no experiment runs, so there is no data");
    if (!(raw->validation_share >= 0 && raw->validation_share < 1)) {
      fail(ErrorCode::kOutOfRange, "the validation share is ", raw->validation_share,
           "; expected 0 or more and less than 1");
    }
    DatasetRequest request;
    request.path = view(raw->path);
    for (size_t i = 0; i < raw->column_count; ++i) request.columns.emplace_back(view(raw->columns[i]));
    request.validation_share = raw->validation_share;
    request.filter = raw->filter != 0;
    const auto& kept = context.datasets.emplace_back(context.session->open_dataset(request));
    *out = reinterpret_cast<palimpsest_dataset*>(const_cast<TextDataset*>(kept.get()));
  });
}

palimpsest_status count(const palimpsest_host*, palimpsest_dataset* dataset, palimpsest_split split, int64_t* rows) {
  return guarded([&] { *rows = static_cast<int64_t>(dataset_of(dataset).rows(split).size()); });
}

palimpsest_status text(const palimpsest_host*, palimpsest_dataset* dataset, palimpsest_split split, int64_t row,
                       size_t column, palimpsest_text* out) {
  return guarded([&] {
    const auto& rows = dataset_of(dataset).rows(split);
    if (row < 0 || row >= static_cast<int64_t>(rows.size()))
      fail(ErrorCode::kOutOfRange, "row ", row, " of ", rows.size());
    const auto& columns = rows[static_cast<std::size_t>(row)];
    if (column >= columns.size()) fail(ErrorCode::kOutOfRange, "column ", column, " of ", columns.size());
    *out = text_of(columns[column]);
  });
}

}  // namespace

const palimpsest_dataset_v1& dataset_service() {
  static constexpr palimpsest_dataset_v1 kTable = {open, count, text};
  return kTable;
}

}  // namespace palimpsest::plugin
