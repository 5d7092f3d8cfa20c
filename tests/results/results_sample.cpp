// Writes the results file that open_with_readers.py opens: results_sample FILE.h5. Its values are known there.
#include <cstdio>
#include <limits>

#include "base/error.hpp"
#include "results/provenance.hpp"
#include "results/writer.hpp"

namespace {

using namespace palimpsest::results;

Table facts(std::string name) {
  return {std::move(name),
          "one fact at one measuring point",
          {{"step", "optimiser step", "step of fine-tuning", std::vector<std::int64_t>()},
           {"logp", "nat", "sum of the target's log-probabilities", std::vector<double>()},
           {"fact", "", "id of the fact", std::vector<std::string>()},
           {"all_top1", "", "every target token is the most probable one", std::vector<Bool>()},
           {"age", "s", "a length of time, which no reader may turn into a date", std::vector<double>()}}};
}

void write(const char* path) {
  Writer writer;
  Provenance provenance;
  provenance.resolved_toml = "[run]\nseed = 7\n";
  provenance.seed = 7;
  provenance.plugins = {{"editor", "rome", "1.0.0", "00ff"}};
  provenance.digests = {{"model", "abcd"}};
  provenance.libraries = {{"hdf5", hdf5_version()}};
  provenance.settings = {{"threads", std::int64_t{2}}, {"roles", std::vector<std::string>{"edited", "intrinsic"}}};
  write_provenance(writer, provenance);

  Table few = facts("/summary");
  few.append_row({0, -0.5, "plain", true, 1.0});
  few.append_row({10, std::numeric_limits<double>::quiet_NaN(), "Größe – 東京 🗼", false, 2.0});
  few.append_row({20, -2.5, "", true, 3.0});
  writer.table(few);
  writer.attribute("/summary/logp", "aggregate", std::string("mean"));
  writer.table(facts("/contrasts"));
  Table many = facts("/metrics/retention");
  for (int row = 0; row < 5000; ++row) {
    many.append_row({row, -0.001 * row, palimpsest::cat("fact ", row), row % 3 == 0, 0.5});
  }
  writer.table(many);

  std::vector<float> update(64 * 32);
  for (std::size_t i = 0; i < update.size(); ++i) update[i] = static_cast<float>(i) / 4;
  writer.array("/updates/c0/u", std::vector<std::int64_t>{64, 32}, std::span<const float>(update));
  writer.attribute("/updates/c0/u", "parameter", std::string("layers.5.mlp.down.weight"));
  writer.commit(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE.h5\n", argv[0]);
    return 2;
  }
  try {
    write(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
