// tokenizer/1
#include "model/tokenizer/tokenizer.hpp"

#include <vector>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

const model::Tokenizer& tokenizer_of(const palimpsest_host* host) {
  const auto& session = context_of(host).session;
  if (!session || !session->tokenizer) fail(ErrorCode::kUnsupported, "no model is open, so there is no tokenizer");
  return *session->tokenizer;
}

model::Encoding encoded(const model::Tokenizer& tokenizer, std::string_view text, palimpsest_encode_as as) {
  switch (as) {
    case PALIMPSEST_ENCODE_TEXT: return tokenizer.encode(text);
    case PALIMPSEST_ENCODE_PROMPT: return tokenizer.encode_prompt(text);
    case PALIMPSEST_ENCODE_TARGET: return tokenizer.encode_target(text);
    case PALIMPSEST_ENCODE_CONTINUATION: return tokenizer.encode_continuation(text);
    default: break;
  }
  fail(ErrorCode::kInvalidArgument, "a text was to be encoded as ", as,
       "; expected one of PALIMPSEST_ENCODE_TEXT, _PROMPT, _TARGET, _CONTINUATION (0 to 3)");
}

palimpsest_status encode(const palimpsest_host* host, palimpsest_text text, palimpsest_encode_as as,
                         const palimpsest_token_sink* sink) {
  palimpsest_status sink_status = PALIMPSEST_OK;
  const palimpsest_status status = guarded([&] {
    const model::Encoding encoding = encoded(tokenizer_of(host), view(text), as);
    std::vector<size_t> begins, ends;
    for (const auto& [begin, end] : encoding.offsets) {
      begins.push_back(begin);
      ends.push_back(end);
    }
    sink_status = sink->tokens(sink->context, encoding.ids.data(), begins.data(), ends.data(), encoding.ids.size());
  });
  return sink_status != PALIMPSEST_OK ? sink_status : status;
}

palimpsest_status decode(const palimpsest_host* host, const int64_t* ids, size_t count,
                         const palimpsest_text_sink* sink) {
  palimpsest_status sink_status = PALIMPSEST_OK;
  const palimpsest_status status = guarded([&] {
    // A token keeps its leading space, wherever it stands: what is decoded here are parts of texts.
    const std::string text = tokenizer_of(host).decode_continuation(std::vector<std::int64_t>(ids, ids + count));
    sink_status = sink->text(sink->context, text_of(text));
  });
  return sink_status != PALIMPSEST_OK ? sink_status : status;
}

palimpsest_status subject_last_token(const palimpsest_host* host, palimpsest_text prompt_template,
                                     palimpsest_text subject, int64_t* index) {
  return guarded([&] {
    std::string prompt(view(prompt_template));
    const std::size_t at = prompt.find("{}");
    if (at == std::string::npos)
      fail(ErrorCode::kInvalidArgument, "the prompt \"", prompt, "\" has no {} for the subject");
    prompt.replace(at, 2, view(subject));
    *index = static_cast<int64_t>(tokenizer_of(host).index_of_subject_last_token(prompt, at, at + subject.size));
  });
}

palimpsest_status special_ids(const palimpsest_host* host, int64_t* bos, int64_t* eos, int64_t* pad) {
  return guarded([&] {
    const model::Tokenizer& tokenizer = tokenizer_of(host);
    *bos = tokenizer.bos_id().value_or(-1);
    *eos = tokenizer.eos_id().value_or(-1);
    *pad = tokenizer.pad_id().value_or(-1);
  });
}

}  // namespace

const palimpsest_tokenizer_v1& tokenizer_service() {
  static constexpr palimpsest_tokenizer_v1 kTable = {encode, decode, subject_last_token, special_ids};
  return kTable;
}

}  // namespace palimpsest::plugin
