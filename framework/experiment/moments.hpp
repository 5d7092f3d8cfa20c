// Second moments of down-projection inputs over a text, all wanted layers in one pass or some layers a pass; stored one
// entry a layer.
//
// Sums are float64 and are saved at fixed places of the text, so that an interrupted pass, taken up again, gives the
// same sums bit for bit. A layer's sum does not depend on which layers share its pass.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/experiment.hpp"
#include "model/model.hpp"
#include "model/second_moment.hpp"

namespace palimpsest::experiment {

struct MomentSum {
  std::int64_t layer = 0;
  at::Tensor sum;  // [mlp, mlp] float64
  std::int64_t count = 0;
};

// Blocks of text of one forward; fixed, since the order in which sums are added follows from it.
inline constexpr std::size_t kBlocksAtOnce = 8;

// The documents of the section's text. Throws what data::read_text_source throws: of bytes that are no UTF-8, a broken
// row, a file without the column `text`.
std::vector<std::string> read_documents(const config::SecondMomentsSection& section);

// Over the text of the section, `layers_at_once` of the ascending layers a pass. Each finished sum is handed to `sink`
// and let go before the next pass. `progress_file`: where a pass saves its sums and is taken up from; removed at its
// end.
void compute_moments(const model::Model& model, const config::SecondMomentsSection& section,
                     const std::vector<std::int64_t>& layers, const std::filesystem::path& progress_file,
                     const std::function<void(const MomentSum&)>& sink);
// From a safetensors file: per layer a matrix `layers.N.mom2` (sum, or mean as the text attribute `mom2` says: "sum",
// "mean") and a `layers.N.count`. Throws Error naming file and tensor.
std::vector<MomentSum> import_moments(const std::filesystem::path& file, const std::vector<std::int64_t>& layers,
                                      std::int64_t mlp_width);
// What import_moments() refuses of the names, shapes and metadata, from the file's header alone.
void check_import(const std::filesystem::path& file, const std::vector<std::int64_t>& layers, std::int64_t mlp_width);

void save_moment(const MomentSum& sum, const std::filesystem::path& folder);
model::SecondMoment load_moment(const std::filesystem::path& folder, std::int64_t layer);

}  // namespace palimpsest::experiment
