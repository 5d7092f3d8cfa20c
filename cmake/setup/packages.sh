# Part of the front door: the Debian packages. Sourced by ../../palimpsest.
# shellcheck shell=sh disable=SC2154

# What building needs, and what reading results from a shell needs (hdf5-tools). GoogleTest and Google Benchmark are here too:
# one build tree holds the program, its tests and its benchmarks.
packages='g++ cmake ninja-build pkg-config python3-venv
  libboost-dev libboost-program-options-dev libtomlplusplus-dev libspdlog-dev nlohmann-json3-dev libpcre2-dev libssl-dev
  libhdf5-dev hdf5-tools libgtest-dev libgmock-dev libbenchmark-dev'
# What `test` needs besides: R opens a results file as docs/results-format.md says (30 MB to fetch, seconds to install), and
# abidiff tells whether the plugin contract changed.
test_packages='r-bioc-rhdf5 abigail-tools'

# Where dpkg does not keep the books, a program or header stands for its package.
missing_elsewhere() {
  pairs='g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config python3:python3-venv h5dump:hdf5-tools'
  [ "$1" != test ] || pairs="$pairs Rscript:r-bioc-rhdf5 abidiff:abigail-tools"
  for pair in $pairs; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || printf '%s ' "${pair#*:}"
  done
  command -v g++ >/dev/null 2>&1 || return 0
  for pair in boost/version.hpp:libboost-dev boost/program_options.hpp:libboost-program-options-dev \
    toml++/toml.h:libtomlplusplus-dev spdlog/spdlog.h:libspdlog-dev nlohmann/json.hpp:nlohmann-json3-dev \
    pcre2.h:libpcre2-dev openssl/evp.h:libssl-dev gtest/gtest.h:libgtest-dev gmock/gmock.h:libgmock-dev \
    benchmark/benchmark.h:libbenchmark-dev; do
    printf '#if !__has_include(<%s>)\nMISSING %s\n#endif\n' "${pair%%:*}" "${pair#*:}"
  done | sed '1i #define PCRE2_CODE_UNIT_WIDTH 8' | g++ -std=c++20 -x c++ -E -P - 2>/dev/null |
    sed -n 's/^MISSING //p' | tr '\n' ' '
}

missing_on_debian() {
  # shellcheck disable=SC2086 # a list of words
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null || :)
  for package in $packages; do
    case "
$installed
" in
      *"
$package installed
"*) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

# need_packages COMMAND
need_packages() {
  [ "$1" != test ] || packages="$packages $test_packages"
  [ -z "${PALIMPSEST_SKIP_PACKAGES:-}" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    missing=$(missing_elsewhere "$1")
    [ -z "$missing" ] || die "this is not a Debian system, and what these Debian packages hold was not found: $missing
  Install the same with your system's package manager and run this again; on Debian or Ubuntu it would be:
    sudo apt-get install --yes --no-install-recommends $missing
  If it lies where the compiler finds it all the same, set PALIMPSEST_SKIP_PACKAGES=1."
    return 0
  fi
  missing=$(missing_on_debian)
  [ -n "$missing" ] || return 0

  install="apt-get install --yes --no-install-recommends $missing"
  as_root=
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
      as_root='sudo -n'
    elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
      as_root=sudo
    else
      die "Debian packages are missing, and installing them takes root. Run this once, then the same command again:
    sudo apt-get update && sudo $install"
    fi
  fi
  say "installing Debian packages${as_root:+ with sudo}: $missing"
  # shellcheck disable=SC2086 # words
  logged apt_update $as_root env DEBIAN_FRONTEND=noninteractive apt-get update
  # shellcheck disable=SC2086
  logged apt_install $as_root env DEBIAN_FRONTEND=noninteractive $install
}
