// Freezes the attention of every layer, and on request what belongs to no layer.
#include <span>
#include <tuple>

#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::attention_only {
namespace {

class AttentionOnly : public sdk::FreezePolicy {
 public:
  struct Parameters {
    bool freeze_embedding = false;
    bool freeze_final_norm = false;
    bool freeze_head = false;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(field("freeze_embedding", &Parameters::freeze_embedding, sdk::kFreezeEmbeddingDoc),
                        field("freeze_final_norm", &Parameters::freeze_final_norm, sdk::kFreezeFinalNormDoc),
                        field("freeze_head", &Parameters::freeze_head, sdk::kFreezeHeadDoc));
    }
  };
  static constexpr sdk::Info kInfo{"attention_only", "1.0.0", "Freezes the attention of every layer, and only that."};

  AttentionOnly(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info&, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView>, const sdk::Freezing& freezing) override {
    const sdk::Outside outside{p_.freeze_embedding, p_.freeze_final_norm, p_.freeze_head};
    outside.check(parameters, "freeze_head", "freeze_embedding");
    sdk::freeze_where(host_, parameters, freezing, "the attention of every layer", [&](const sdk::ParameterInfo& p) {
      return p.layer >= 0 ? sdk::is_attention(p) : outside.covers(p);
    });
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::attention_only

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::attention_only::AttentionOnly>)
