# Part of the front door: the private Python environment, and which libtorch is used. Sourced by ../../palimpsest.
# shellcheck shell=sh disable=SC2154

# torch_in FOLDER: prints the folder that holds include/ and lib/, where FOLDER is it, holds it, or is its CMake folder.
torch_in() {
  for candidate in "$1" "$1/torch" "$1/../../.." "$1/libtorch"; do
    if [ -f "$candidate/include/ATen/ATen.h" ]; then
      (CDPATH='' cd -- "$candidate" && pwd -P)
      return 0
    fi
  done
  return 1
}

# Sets torch_dir to the user's own libtorch, or leaves it empty.
find_own_torch() {
  torch_dir=
  if [ -n "${TORCH_DIR:-}" ]; then
    torch_dir=$(torch_in "$TORCH_DIR") || die "TORCH_DIR is $TORCH_DIR, but neither it nor its torch/ holds include/ATen/ATen.h"
    return 0
  fi
  [ -n "${CMAKE_PREFIX_PATH:-}" ] || return 0
  old_ifs=$IFS
  IFS=':;'
  set -f
  for prefix in $CMAKE_PREFIX_PATH; do
    if torch_dir=$(torch_in "$prefix"); then break; fi
    torch_dir=
  done
  set +f
  IFS=$old_ifs
}

pip() { "$python" -m pip --disable-pip-version-check --no-input "$@"; }

# pip_install NAME ARGUMENT...: `pip install ARGUMENT...`, its log in logs/NAME.log.
pip_install() {
  name=$1
  shift
  : >"$home/stamps/pip_at_work"
  logged "$name" pip install "$@"
  rm -f "$home/stamps/pip_at_work"
}

need_environment() {
  # Anew where the folder moved, its interpreter went or became another (the first python3 on PATH does not matter any more),
  # or a pip was stopped: it may leave a package that looks installed and is not whole.
  if [ -x "$python" ] && [ ! -f "$home/stamps/pip_at_work" ] &&
    stamped environment "$(digest "$home" "$("$python" --version 2>&1)")"; then return 0; fi
  say "creating the private Python environment $home/venv"
  rm -f "$home"/stamps/python_* "$home/stamps/pip_at_work"
  logged environment python3 -m venv --clear "$home/venv"
  stamp environment "$(digest "$home" "$("$python" --version 2>&1)")"
}

# Installs torch by pip, warning first where that means a CUDA build.
install_torch() {
  report=$home/cache/torch_report.json
  say "asking pip what '$torch_spec' means on this machine"
  # shellcheck disable=SC2086 # the specification may be several words: a requirement and pip's options
  logged torch_plan pip install --dry-run --report "$report" $torch_spec
  torch='' cuda_packages=0
  eval "$("$python" "$root/cmake/setup/torch_plan.py" "$report" | grep -E '^(torch|cuda_packages)=[0-9A-Za-z.+]*$')"
  if [ "$cuda_packages" != 0 ]; then
    say "pip will fetch torch $torch with $cuda_packages CUDA packages: several GB. Palimpsest runs on the CPU without them."
    say "To avoid it, stop now (Ctrl-C) and set TORCH_DIR to the folder of a CPU libtorch, or PALIMPSEST_TORCH_SPEC to a CPU"
    say "wheel as pip takes it: 'torch==2.13.0 --index-url ADDRESS', with the CPU address from PyTorch's installation page."
    if [ -t 2 ]; then sleep 15; fi
  fi
  say "installing torch ${torch:-(already there)} with pip"
  # shellcheck disable=SC2086
  pip_install pip_torch $torch_spec
}

# need_python run|test: the environment with the parts that this word needs. Sets python and torch_dir.
need_python() {
  python=$home/venv/bin/python
  export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$home/cache/pip}"
  find_own_torch
  need_environment
  if [ "$1" = run ]; then requirements=$root/cmake/setup/requirements.txt; else requirements=$root/cmake/setup/requirements-test.txt; fi
  # Tests compare with torch in Python; a user's libtorch serves only if it is a Python package for this interpreter.
  own=$torch_dir
  if [ "$1" = test ] && [ -n "$own" ] && ! stamped python_test_torch "$own"; then
    if PYTHONPATH=$(dirname "$own") "$python" -c 'import torch' >/dev/null 2>&1; then
      site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
      dirname "$own" >"$site/palimpsest_torch.pth"
      stamp python_test_torch "$own"
    else
      own=
    fi
  fi
  key=$(digest "$torch_spec" "$own" "$(digest_files "$requirements" "$root/cmake/prepare/requirements.txt")")
  if ! stamped "python_$1" "$key"; then
    [ -n "$own" ] || install_torch
    say "installing the Python packages of ${requirements##*/} with pip"
    # No package may bring another torch than the one chosen above.
    pip list --format freeze 2>/dev/null | grep '^torch==' >"$home/cache/constraints.txt" || :
    pip_install "pip_$1" -r "$requirements" -c "$home/cache/constraints.txt"
    stamp "python_$1" "$key"
    [ "$PIP_CACHE_DIR" != "$home/cache/pip" ] || rm -rf "$PIP_CACHE_DIR"
  fi
  if [ -z "$torch_dir" ]; then
    for candidate in "$home"/venv/lib/python3*/site-packages/torch; do torch_dir=$candidate; done
    [ -d "$torch_dir/include" ] || die "torch was installed, but $torch_dir/include is not there; remove $home/venv and run this again"
  fi
}
