# Part of the front door: messages, logs, stamps and the lock. Sourced, so it shares the variables of ../../palimpsest.
# shellcheck shell=sh disable=SC2154,SC2034

say() { printf 'palimpsest: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# The home exists and is ours alone until close_home; a second front door waits.
open_home() {
  mkdir -p "$home/logs" "$home/stamps" "$home/cache" || die "cannot create $home; PALIMPSEST_HOME names another folder"
  home=$(CDPATH='' cd -- "$home" && pwd -P)
  build=$home/build/$preset
  cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
  # Python's compiled files would otherwise lie in the source tree.
  export PYTHONDONTWRITEBYTECODE=1
  trap 'stop_watching; say "stopped; the same command goes on from here"; exit 130' INT TERM
  trap 'stop_watching' EXIT
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$home/lock"
    flock -n 9 || {
      say "another ./palimpsest is setting up or building in $home; waiting for it"
      flock 9
    }
  fi
}

close_home() {
  exec 9>&-
  trap - INT TERM EXIT
}

# stamped NAME KEY: whether step NAME was completed with this key; stamp NAME KEY says that it was.
stamped() { [ -f "$home/stamps/$1" ] && [ "$(cat "$home/stamps/$1")" = "$2" ]; }
stamp() {
  printf '%s\n' "$2" >"$home/stamps/.$1.$$"
  mv -f "$home/stamps/.$1.$$" "$home/stamps/$1"
}

# digest TEXT... -> one key; digest_files FILE... -> a digest of their contents.
digest() { printf '%s\n' "$@" | sha256sum | cut -c1-64; }
digest_files() { cat "$@" | sha256sum | cut -c1-64; }

watcher=
stop_watching() {
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || :
  watcher=
}

# Progress of a long step, taken from the end of its log: rewritten in place on a terminal, once a minute elsewhere. What
# `announce` holds is said first, after a second.
announce=
watch_log() {
  (
    trap - INT TERM EXIT
    exec 9>&- # the lock is the front door's alone
    if [ -n "$announce" ]; then
      sleep 1 >/dev/null 2>&1
      say "$announce"
    fi
    while kill -0 $$ 2>/dev/null; do
      if [ -t 2 ]; then pause=2; else pause=60; fi
      sleep $pause >/dev/null 2>&1
      last=$(tail -c 400 "$1" 2>/dev/null | tr '\r' '\n' | sed -n '/[^ ]/p' | tail -n 1 | cut -c1-100)
      [ -n "$last" ] || continue
      if [ -t 2 ]; then printf '\r\033[K  %s' "$last" >&2; else printf '  %s\n' "$last" >&2; fi
    done
  ) &
  watcher=$!
  announce=
}

# logged NAME COMMAND...: runs it with its output in logs/NAME.log; on failure shows the end of that log and stops.
logged() {
  log=$home/logs/$1.log
  name=$1
  shift
  : >"$log"
  watch_log "$log"
  code=0
  # In a subshell, since a function's redirections would swallow what a trap says.
  ("$@") >"$log" 2>&1 9>&- </dev/null || code=$?
  stop_watching
  [ ! -t 2 ] || printf '\r\033[K' >&2
  if [ "$code" != 0 ]; then
    tail -n 30 "$log" >&2
    die "$name failed with status $code (above: the end of $log)"
  fi
}
