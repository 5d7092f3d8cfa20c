// Editors: edit requests -> weight updates; and those whose later edits depend on earlier ones.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "palimpsest/kinds/editor.h"
#include "palimpsest/sdk/facts.hpp"
#include "palimpsest/sdk/kinds/plugin_base.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

struct EditRequest {
  Fact fact;
  std::string_view prompt;  // template
  std::string_view subject;
  std::string_view target;
  palimpsest_prompt_origin origin;
};

// The open transaction.
class Updates {
 public:
  Updates(const palimpsest_host* host, const palimpsest_update_sink* sink) : host_(host), sink_(sink) {}
  // W += U V^T; u [out, r], v [in, r].
  void low_rank(std::string_view parameter, const Tensor& u, const Tensor& v) const {
    check(host_, sink_->low_rank(sink_->context, text(parameter), u.get(), v.get()));
  }
  void dense(std::string_view parameter, const Tensor& delta) const {
    check(host_, sink_->dense(sink_->context, text(parameter), delta.get()));
  }
  // A number worth keeping; request -1: about the whole call; step -1: no step.
  void record(std::int64_t request, std::string_view name, std::int64_t step, double value) const {
    check(host_, sink_->record(sink_->context, request, text(name), step, value));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_update_sink* sink_;
};

// What apply will need.
struct Needs {
  std::vector<std::int64_t> second_moments;  // layers
  std::vector<std::int64_t> edits_layers;    // all that apply may change; -1: embeddings, final norm, head
  std::int64_t largest_batch = 0;            // 0: any
};

class Editor : public Plugin {
 public:
  using Kind = Editor;
  static constexpr const char* kName = PALIMPSEST_KIND_EDITOR;

  virtual void apply(Model model, std::span<const EditRequest> requests, const Updates& updates) = 0;
  // Checks parameters against the model and says what apply will need. Asked of another instance than the one that
  // applies: keep nothing here.
  virtual Needs needs(const palimpsest_model_info& info) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_editor_v1 editor = {[](void* instance, palimpsest_model* model,
                                                       const palimpsest_edit_request* requests, size_t count,
                                                       const palimpsest_update_sink* sink) -> palimpsest_status {
      const auto* host = detail::host_of(instance);
      return guarded(host, [&] {
        std::vector<EditRequest> list;
        for (size_t i = 0; i < count; ++i) {
          const auto& r = requests[i];
          list.push_back({Fact(host, r.fact), view(r.prompt), view(r.subject), view(r.target), r.origin});
        }
        detail::as<Editor>(instance).apply(Model(host, model), list, Updates(host, sink));
      });
    }};
    static constexpr palimpsest_editor_needs_v1 needs_table = {
        [](void* instance, const palimpsest_model_info* info, const palimpsest_needs_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            const Needs needs = detail::as<Editor>(instance).needs(*info);
            for (const auto layer : needs.second_moments) check(host, sink->second_moment(sink->context, layer));
            for (const auto layer : needs.edits_layers) check(host, sink->edits_layer(sink->context, layer));
            if (needs.largest_batch > 0) check(host, sink->largest_batch(sink->context, needs.largest_batch));
          });
        }};
    if (detail::is(id, PALIMPSEST_EDITOR_1)) return &editor;
    if (detail::is(id, PALIMPSEST_EDITOR_NEEDS_1)) return &needs_table;
    if (detail::is(id, PALIMPSEST_EDITOR_STATE_1)) return state_table<P>();
    return nullptr;
  }

 private:
  template <typename P>
  static const void* state_table();
};

// Named tensors of an editor's state, on their way out.
class StateSink {
 public:
  StateSink(const palimpsest_host* host, const palimpsest_state_sink* sink) : host_(host), sink_(sink) {}
  void tensor(std::string_view name, const Tensor& value) const {
    check(host_, sink_->tensor(sink_->context, text(name), value.get()));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_state_sink* sink_;
};

struct StateTensor {
  std::string_view name;
  Tensor value;  // retained: may be kept
};

// An editor whose later edits depend on its earlier ones. What it keeps between calls of apply must all be in its
// state, so that an instance that loads it goes on as the one that saved it would have. Names differ within a state. An
// apply that throws leaves the state as it was: change it last.
class StatefulEditor : public Editor {
 public:
  // Back to what the constructor left.
  virtual void reset() = 0;
  virtual void save(const StateSink& sink) = 0;
  // What save gave, in any order.
  virtual void load(std::span<const StateTensor> state) = 0;
};

template <typename P>
const void* Editor::state_table() {
  if constexpr (std::is_base_of_v<StatefulEditor, P>) {
    static constexpr palimpsest_editor_state_v1 table = {
        [](void* instance) -> palimpsest_status {
          return guarded(detail::host_of(instance), [&] { detail::as<StatefulEditor>(instance).reset(); });
        },
        [](void* instance, const palimpsest_state_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] { detail::as<StatefulEditor>(instance).save(StateSink(host, sink)); });
        },
        [](void* instance, const palimpsest_text* names, const palimpsest_tensor* values,
           size_t count) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            std::vector<StateTensor> state;
            for (size_t i = 0; i < count; ++i) state.push_back({view(names[i]), Tensor::retain(host, values[i])});
            detail::as<StatefulEditor>(instance).load(state);
          });
        }};
    return &table;
  } else {
    return nullptr;
  }
}

}  // namespace palimpsest::sdk
