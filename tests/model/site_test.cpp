#include "model/site.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace palimpsest::model {
namespace {

Config six_layers() {
  Config config;
  config.layers = 6;
  config.hidden = 4;
  config.mlp_width = 12;
  return config;
}

TEST(Site, PrintsWhatItParses) {
  for (const char* text :
       {"embed.out", "layers.0.attention.out", "layers.5.mlp.key", "layers.5.mlp.value", "layers.3.out", "final.out"}) {
    EXPECT_EQ(to_string(parse_site(text, six_layers())), text);
  }
  EXPECT_EQ(site_width(parse_site("layers.5.mlp.key", six_layers()), six_layers()), 12);
  EXPECT_EQ(site_width(parse_site("layers.5.mlp.value", six_layers()), six_layers()), 4);
}

std::string refusal(const std::string& text, ErrorCode code) {
  try {
    parse_site(text, six_layers());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

TEST(Site, RefusalsSayWhatIsThere) {
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal("layers.6.mlp.key", ErrorCode::kOutOfRange), HasSubstr("the model's layers are 0 to 5"));
  EXPECT_THAT(refusal("layers.2.mlp.keys", ErrorCode::kInvalidArgument),
              HasSubstr("did you mean \"layers.2.mlp.key\""));
  EXPECT_THAT(refusal("embed.ou", ErrorCode::kInvalidArgument), HasSubstr("did you mean \"embed.out\""));
  for (const char* text : {"", "layers", "layers.", "layers..out", "layers.x.out", "layers.-1.out", "layers.1e3.out",
                           "layers.99999999999999999999.out"}) {
    EXPECT_NE(
        refusal(text, text == std::string("layers.-1.out") ? ErrorCode::kOutOfRange : ErrorCode::kInvalidArgument), "")
        << text;
  }
}

}  // namespace
}  // namespace palimpsest::model
