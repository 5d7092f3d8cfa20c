#include <boost/version.hpp>
#include <iostream>
#include <string>

#include "app/commands.hpp"
#include "app/program.hpp"
#include "commit.hpp"
#include "experiment/keys.hpp"
#include "results/writer.hpp"

namespace palimpsest::app {

int version_command() {
  const experiment::Machine machine = experiment::machine();
  const std::string commit = PALIMPSEST_GIT_COMMIT;
  std::cout << "palimpsest " << PALIMPSEST_PROGRAM_VERSION << '\n'
            << "git commit " << (commit.empty() ? "unknown" : commit) << '\n'
            << "libtorch " << machine.torch_version << '\n'
            << "build tag " << host_build().torch_tag << '\n'
            << "CPU capability " << machine.cpu_capability << '\n'
            << "HDF5 " << results::hdf5_version() << '\n'
            << "Boost " << BOOST_VERSION / 100000 << '.' << BOOST_VERSION / 100 % 1000 << '.' << BOOST_VERSION % 100
            << '\n';
  return 0;
}

}  // namespace palimpsest::app
