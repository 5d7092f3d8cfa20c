#include "plugin/instance.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "plugin/call.hpp"

namespace palimpsest::plugin {
namespace {

// `value` as the C struct that points into it.
palimpsest_parameter_value raw_value(const ParameterValue& value, std::vector<palimpsest_text>& texts) {
  palimpsest_parameter_value raw{};
  raw.present = value.present ? 1 : 0;
  raw.integer = value.integer;
  raw.number = value.number;
  raw.text = text_of(value.text);
  for (const auto& text : value.texts) texts.push_back(text_of(text));
  raw.count = std::max({value.integers.size(), value.numbers.size(), value.texts.size()});
  raw.integers = value.integers.data();
  raw.numbers = value.numbers.data();
  raw.texts = texts.data();
  return raw;
}

}  // namespace

Instance::Instance(Plugin plugin, std::shared_ptr<const Session> session, const std::vector<ParameterValue>& values)
    : plugin_(std::move(plugin)), context_(std::make_unique<HostContext>()) {
  const palimpsest_descriptor& d = *plugin_.descriptor;
  context_->session = std::move(session);
  context_->kind = d.kind;
  context_->label = cat(d.kind, " ", d.id);
  context_->version = d.version;
  if (plugin_.library) context_->library_sha256 = plugin_.library->sha256();
  context_->host = {context_.get(), PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR,
                    [](const palimpsest_host*, const char* service) { return find_service(service); }};

  std::vector<std::vector<palimpsest_text>> texts(d.parameter_count);
  std::vector<palimpsest_parameter_value> raw(d.parameter_count);
  std::vector<std::string> known;
  for (std::size_t i = 0; i < d.parameter_count; ++i) {
    const palimpsest_parameter& parameter = d.parameters[i];
    known.emplace_back(parameter.name);
    const auto given =
        std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.name == parameter.name; });
    if (given != values.end()) {
      raw[i] = raw_value(*given, texts[i]);
    } else if (parameter.required != 0) {
      fail(ErrorCode::kInvalidArgument, context_->label, ": the parameter \"", parameter.name, "\" is required");
    } else {
      raw[i] = parameter.default_value;
    }
  }
  for (const auto& value : values) {
    if (std::find(known.begin(), known.end(), value.name) == known.end()) {
      fail(ErrorCode::kInvalidArgument, context_->label, " has no parameter \"", value.name, "\"",
           did_you_mean(value.name, known));
    }
  }
  call_plugin(context_->label, "create", [&] { return d.create(&context_->host, raw.data(), raw.size(), &instance_); });
  if (instance_ == nullptr)
    fail(ErrorCode::kInternal, context_->label, ": create succeeded without making an instance");
}

Instance::~Instance() {
  try {
    if (instance_ != nullptr) plugin_.descriptor->destroy(instance_);
  } catch (...) {
    // destroy cannot fail by contract; a plugin that throws here has nothing left to say.
  }
}

const void* Instance::interface(const char* id, bool required) const {
  const void* table = plugin_.descriptor->get_interface(id);
  if (table == nullptr && required)
    fail(ErrorCode::kUnsupported, context_->label, " does not offer the interface ", id);
  return table;
}

}  // namespace palimpsest::plugin
