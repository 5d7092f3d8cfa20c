// Metrics: when they run, what they declare, and what they measure.
#include "plugin/call.hpp"
#include "plugin/instance.hpp"
#include "plugin/kinds/rows.hpp"
#include "plugin/kinds/table.hpp"

namespace palimpsest::plugin {

std::uint32_t Metric::when() const {
  std::uint32_t mask = 0;
  call_plugin(label(), "when", [&] {
    mask = table<palimpsest_metric_v1>(interface(PALIMPSEST_METRIC_1, true)).when(instance_);
    return palimpsest_status{PALIMPSEST_OK};
  });
  return mask;
}

std::vector<Column> Metric::columns() const {
  const palimpsest_column* raw = nullptr;
  size_t count = 0;
  call_plugin(label(), "columns", [&] {
    return table<palimpsest_metric_v1>(interface(PALIMPSEST_METRIC_1, true)).columns(instance_, &raw, &count);
  });
  return copy_columns(raw, count, label());
}

std::vector<Row> Metric::measure(palimpsest_model& model, const MeasuringPoint& point,
                                 std::span<const palimpsest_fact* const> facts) {
  const std::vector<Column> declared = columns();
  RowCollector collector{&declared, static_cast<std::int64_t>(facts.size()), {}};
  const palimpsest_row_sink sink{&collector, collect_row};
  const palimpsest_measure_request request{&model,       point.ordinal, text_of(point.stage), point.step,
                                           facts.data(), facts.size(),  point.tokens_trained, point.edit_tokens};
  call_plugin(label(), "measure", [&] {
    return table<palimpsest_metric_v1>(interface(PALIMPSEST_METRIC_1, true)).measure(instance_, &request, &sink);
  });
  return std::move(collector.rows);
}

}  // namespace palimpsest::plugin
