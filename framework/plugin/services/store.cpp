// store/1
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

void add_bytes(Sha256& hash, const at::Tensor& tensor) {
  const at::Tensor t = tensor.detach().to(at::kCPU).contiguous();
  hash.field(at::toString(t.scalar_type()));
  for (const std::int64_t extent : t.sizes()) hash.field(cat(extent));
  hash.field(std::string_view(static_cast<const char*>(t.const_data_ptr()), static_cast<std::size_t>(t.nbytes())));
}

// Of all in which the model differs from its base: weights are values that are exchanged, so an unchanged one is the
// very same tensor.
std::string digest_of_changes(const palimpsest_model& model) {
  Sha256 hash;
  for (const auto* weights : {&model.edited, &model.current}) {
    for (std::size_t i = 0; i < weights->size(); ++i) {
      if ((*weights)[i].is_same(model.base[i])) continue;
      hash.field(weights->infos()[i].name);
      add_bytes(hash, (*weights)[i]);
    }
    hash.field("end");
  }
  for (const auto& update : model.updates) {
    hash.field(update.parameter);
    for (const auto* factor : {&update.u, &update.v, &update.dense}) {
      if (factor->defined()) add_bytes(hash, *factor);
    }
  }
  return hash.hex();
}

template <typename T>
void add_once(std::vector<std::pair<std::string, T>>& entries, palimpsest_text name, T value) {
  const bool known = std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.first == view(name); });
  if (known || name.size == 0) {
    fail(ErrorCode::kInvalidArgument, "an entry of the store has ", known ? "two things" : "a thing", " named \"",
         view(name), "\"");
  }
  entries.emplace_back(view(name), std::move(value));
}

palimpsest_status add_tensor(void* context, palimpsest_text name, palimpsest_tensor handle) {
  return guarded([&] {
    at::Tensor value = tensor_of(handle).detach().clone();
    if (value.is_floating_point() && !at::isfinite(value).all().item<bool>()) {
      fail(ErrorCode::kNumeric, "the tensor \"", view(name), "\" that is to be stored has NaN or infinity");
    }
    add_once(static_cast<StoreEntry*>(context)->tensors, name, std::move(value));
  });
}

palimpsest_status add_text(void* context, palimpsest_text name, palimpsest_text value) {
  return guarded([&] { add_once(static_cast<StoreEntry*>(context)->texts, name, std::string(view(value))); });
}

// While compute runs, instance and model know what the entry's key covers.
class Scope {
 public:
  Scope(HostContext& context, palimpsest_model& model, palimpsest_store_dependence depends_on)
      : context_(context), model_(model) {
    context.store_scope = model.store_scope = depends_on;
  }
  ~Scope() {
    context_.store_scope.reset();
    model_.store_scope.reset();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  HostContext& context_;
  palimpsest_model& model_;
};

// Ends get_or_compute with the status of the plugin's own function, whose sentence stands already.
struct Failed {
  palimpsest_status status;
};

StoreEntry compute(HostContext& context, palimpsest_model& model, const palimpsest_store_request& request) {
  StoreEntry made;
  const palimpsest_store_sink sink{&made, add_tensor, add_text};
  const Scope scope(context, model, request.depends_on);
  const palimpsest_status status = request.compute(request.compute_context, &sink);
  if (status != PALIMPSEST_OK) throw Failed{status};
  return made;
}

void deliver(StoreEntry& entry, const palimpsest_store_sink& sink) {
  const auto ended = [](palimpsest_status status) {
    if (status != PALIMPSEST_OK) throw Failed{status};
  };
  for (auto& [name, tensor] : entry.tensors)
    ended(sink.tensor(sink.context, text_of(name), reinterpret_cast<palimpsest_tensor>(&tensor)));
  for (const auto& [name, text] : entry.texts) ended(sink.text(sink.context, text_of(name), text_of(text)));
}

palimpsest_status get_or_compute(const palimpsest_host* host, palimpsest_model* model,
                                 const palimpsest_store_request* request, const palimpsest_store_sink* content) {
  palimpsest_status plugins = PALIMPSEST_OK;
  const palimpsest_status status = guarded([&] {
    HostContext& context = context_of(host);
    refuse_in_compute(context.store_scope, 0, "store/1");
    if (!context.session || !context.session->get_or_compute)
      fail(ErrorCode::kUnsupported, "no experiment runs, so there is no store");
    if (model == nullptr) fail(ErrorCode::kInvalidArgument, "store/1 was given no model");
    if (request->key.size == 0) fail(ErrorCode::kInvalidArgument, "the key of a stored value is empty");
    StoreKey key = {{"plugin", context.label},
                    {"plugin.version", context.version},
                    {"plugin.library", context.library_sha256},
                    {"key", std::string(view(request->key))},
                    {"depends on", cat(request->depends_on)}};
    if ((request->depends_on & PALIMPSEST_STORE_ON_WEIGHTS) != 0)
      key.emplace_back("weights", digest_of_changes(*model));
    if ((request->depends_on & PALIMPSEST_STORE_ON_SEED) != 0) key.emplace_back("seed", cat(context.session->seed));
    const bool second_moments = (request->depends_on & PALIMPSEST_STORE_ON_SECOND_MOMENTS) != 0;
    try {
      StoreEntry entry =
          context.session->get_or_compute(key, second_moments, [&] { return compute(context, *model, *request); });
      deliver(entry, *content);
    } catch (const Failed& failed) {
      plugins = failed.status;
    }
  });
  return plugins != PALIMPSEST_OK ? plugins : status;
}

}  // namespace

void refuse_in_compute(const std::optional<std::uint32_t>& scope, std::uint32_t needed, std::string_view what) {
  if (!scope || (needed != 0 && (*scope & needed) != 0)) return;
  const char* name = needed == PALIMPSEST_STORE_ON_WEIGHTS          ? "PALIMPSEST_STORE_ON_WEIGHTS"
                     : needed == PALIMPSEST_STORE_ON_SECOND_MOMENTS ? "PALIMPSEST_STORE_ON_SECOND_MOMENTS"
                                                                    : "PALIMPSEST_STORE_ON_SEED";
  fail(ErrorCode::kInvalidArgument, what,
       " was used while a value for the store was computed, and its key does not cover ", "it; ",
       needed == 0 ? "use it before and put what it gave into the key" : cat("add ", name, " to depends_on"));
}

StoreFunction values_in_memory() {
  return [kept = std::make_shared<std::map<StoreKey, StoreEntry>>()](const StoreKey& key, bool,
                                                                     const std::function<StoreEntry()>& compute) {
    if (const auto known = kept->find(key); known != kept->end()) return known->second;
    StoreEntry made = compute();
    const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::sort(made.tensors.begin(), made.tensors.end(), by_name);
    std::sort(made.texts.begin(), made.texts.end(), by_name);
    return kept->emplace(key, std::move(made)).first->second;
  };
}

const palimpsest_store_v1& store_service() {
  static constexpr palimpsest_store_v1 kTable = {get_or_compute};
  return kTable;
}

}  // namespace palimpsest::plugin
