# Part of the front door: configure, build, prepare model and data. Sourced by ../../palimpsest.
# shellcheck shell=sh disable=SC2154,SC2034

need_configured() {
  export CCACHE_DIR="${CCACHE_DIR:-$home/ccache}"
  key=$(digest "$root" "$build" "$preset" "$torch_dir" "$python" "$(digest_files "$root/CMakePresets.json")")
  if stamped "configure_$preset" "$key" && [ -f "$build/build.ninja" ]; then return 0; fi
  # A tree that belongs to another place (a moved clone) or to another libtorch cannot be configured over.
  if [ -f "$build/CMakeCache.txt" ]; then
    say "the build folder $build was made for other settings; starting it anew"
    rm -rf "$build"
  fi
  say "configuring ($preset) with libtorch in $torch_dir"
  logged configure configure_here
  stamp "configure_$preset" "$key"
}

configure_here() {
  (CDPATH='' cd -- "$root" && cmake --preset "$preset" -B "$build" -DTORCH_DIR="$torch_dir" -DPALIMPSEST_PYTHON="$python" \
    -DPALIMPSEST_HOME="$home")
}

# need_built TARGET...
need_built() {
  # A unit that includes libtorch takes up to 1.5 GB while it is compiled.
  jobs=$(awk -v cores="$cores" '/^MemAvailable/ { n = int($2 / 1572864); print n < 1 ? 1 : n < cores ? n : cores }' \
    /proc/meminfo 2>/dev/null || :)
  # Said only if it takes more than a moment: mostly there is nothing to do.
  announce="building (log: $home/logs/build.log)"
  logged build ninja -C "$build" -j "${jobs:-$cores}" "$@"
}

# need_prepared NAME SCRIPT OUTPUT: runs the script unless it completed before, it and its pins unchanged, and its output is
# still there.
need_prepared() {
  key=$(digest "$3" "$(digest_files "$root"/cmake/prepare/*.py "$root/cmake/prepare/pins.json")")
  if stamped "prepare_$1" "$key" && [ -d "$3" ]; then return 0; fi
  say "preparing the $1 in $3"
  logged "prepare_$1" "$python" "$root/cmake/prepare/$2" --output "$3"
  stamp "prepare_$1" "$key"
}

need_model_and_data() {
  need_prepared model prepare_model.py "$home/models/smollm2-135m-instruct"
  need_prepared data prepare_text.py "$home/data"
  # Within the texts' folder, so after it.
  need_prepared tasks prepare_tasks.py "$home/data/tasks"
  need_prepared evaluation prepare_evaluation.py "$home/evaluation"
}

# What the tests compare with, and nothing else reads.
need_vocabularies() {
  need_prepared vocabularies prepare_vocabularies.py "$home/vocabularies"
}
