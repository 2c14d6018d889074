# shellcheck shell=bash
# What every tool shares: where the checkout is, what a machine must have, and how it gets it. Sourced, never run.
# It knows Debian's package names; it does not know what the tools do with the packages.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
export ROOT BUILD

# One line a need: Debian's package, and how another system shows that it has the same thing.
BUILD_NEEDS=(
  gcc:gcc libc6-dev:header=stdio.h cmake:cmake ninja-build:ninja
  lua5.4:lua5.4 liblua5.4-dev:header=lua5.4/lua.h libssl-dev:header=openssl/ssl.h zlib1g-dev:header=zlib.h
  erlang-base:erl erlang-dev:erl=erl_interface
)
STANDALONE_NEEDS=(
  binutils:strip lua-lpeg-dev:static=lua5.4-lpeg lua-term-dev:static=lua5.4-term lua-readline-dev:static=lua5.4-readline
  libedit-dev:header=histedit.h libbsd-dev:header=bsd/bsd.h
  libmd-dev:header=md5.h libncurses-dev:header=term.h lua-argparse:lua=argparse lua-dkjson:lua=dkjson
  lua-luv-dev:static=lua5.4-luv libuv1-dev:static=uv_a
)
# To run the program on releases that are built here: the demo and the benches.
RUN_NEEDS=(
  "${BUILD_NEEDS[@]}"
  lua-lpeg:lua=lpeg lua-dkjson:lua=dkjson lua-argparse:lua=argparse lua-system:lua=system lua-term:lua=term lua-luv:lua=luv
  erlang-crypto:erl=crypto erlang-ssl:erl=ssl erlang-tools:erl=tools erlang-runtime-tools:erl=runtime_tools elixir:mix
  erlang-inets:erl=inets erlang-mnesia:erl=mnesia erlang-os-mon:erl=os_mon erlang-syntax-tools:erl=syntax_tools
  erlang-xmerl:erl=xmerl unzip:unzip lua-luassert:lua=luassert
)
TEST_NEEDS=(
  "${RUN_NEEDS[@]}" "${STANDALONE_NEEDS[@]}" dpkg-dev:dpkg-shlibdeps lua-busted:busted luarocks:luarocks
  make:make zip:zip openssl:openssl tmux:tmux lua-readline:lua=readline chromium:chromium zsh:zsh fish:fish groff-base:groff
  openssh-client:ssh openssh-server:/usr/sbin/sshd
)
# shellcheck disable=SC2034  # for tools/lint
LINT_NEEDS=("${TEST_NEEDS[@]}" lua-check:luacheck lua-ldoc:ldoc lua-discount:ldoc shellcheck:shellcheck cppcheck:cppcheck clang-tidy:clang-tidy clang-format:clang-format binutils:readelf)

say() { printf '== %s\n' "$*" >&2; }
die() { printf '!! %s\n' "$*" >&2; exit 1; }

on_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# present KIND: does this machine, whatever it is, have the thing?
present() {
  case $1 in
    lua=*) lua5.4 -e "require '${1#lua=}'" 2>/dev/null ;;
    erl=*) ls -d "$(erl_lib_dir)/${1#erl=}"-* >/dev/null 2>&1 ;;
    static=*) [ -e "$(cc -print-file-name="lib${1#static=}.a")" ] ;;
    header=*) echo "#include <${1#header=}>" | cc -E -xc - >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

erl_lib_dir() {
  erl -noshell -boot start_clean -eval 'io:put_chars(code:lib_dir()), halt().' 2>/dev/null
}

# need "package:evidence"...: what is missing is installed on Debian, and named elsewhere. Quick when nothing is missing.
need() {
  local missing=() item
  if on_debian; then
    local installed
    # It fails where a package is not known at all: that one is missing, like others.
    installed=" $({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${@%%:*}" 2>/dev/null || true; } |
      sed -n 's/^installed //p' | tr '\n' ' ')"
    for item in "${@%%:*}"; do
      case $installed in *" $item "*) ;; *) missing+=("$item") ;; esac
    done
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
  else
    for item in "$@"; do
      present "${item#*:}" || missing+=("${item%%:*}")
    done
    [ ${#missing[@]} = 0 ] || die "This is not Debian, so nothing is installed here. Missing (Debian's names): ${missing[*]}"
  fi
}

install_packages() {
  say "installing with apt: $*"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "neither root nor sudo; as root: apt-get install $*"
  as_root apt-get -qq update
  # What we install is for us: no service of it is started.
  local policy=/usr/sbin/policy-rc.d ours=""
  if [ ! -e $policy ]; then
    ours=$policy
    printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin $policy
  fi
  # The output matters only when it fails.
  local log
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >"$log" 2>&1; then
    cat "$log" >&2
    [ -z "$ours" ] || as_root rm -f "$ours"
    die "apt could not install: $*"
  fi
  [ -z "$ours" ] || as_root rm -f "$ours"
  rm -f "$log"
}

# suite_apt SUITE FOLDER: sets APT to the words of an apt-get that knows that suite alone, from the mirror that this machine
# uses, with lists and downloads in FOLDER. Fails where no mirror has the suite.
suite_apt() {
  local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=""
  on_debian || return 1
  [ -e $keyring ] && signed="[signed-by=$keyring]"
  mkdir -p "$2/lists/partial" "$2/cache/archives/partial"
  # As root, apt would drop to a user of its own who may not write here.
  APT=(apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::sourcelist="$2/sources.list" -o Dir::Etc::sourceparts=-
    -o Dir::State::lists="$2/lists" -o Dir::Cache="$2/cache" -o Acquire::Languages=none -o Acquire::Retries=1)
  # shellcheck disable=SC2016  # apt's own placeholders
  for mirror in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u); do
    echo "deb $signed $mirror $1 main" >"$2/sources.list"
    "${APT[@]}" update >"$2/update.log" 2>&1 && return 0
  done
  return 1
}

# build PRESET: configures once, then builds what has changed. Silent unless it fails. One at a time, whoever asks.
build() {
  local log=$BUILD/$1.log lock
  mkdir -p "$BUILD"
  exec {lock}>"$BUILD/$1.lock"
  flock "$lock"
  local generator=()
  [ -e "$BUILD/$1/CMakeCache.txt" ] || generator=(-G Ninja)
  if ! (cd "$ROOT" && cmake --preset "$1" "${generator[@]}" && cmake --build --preset "$1") >"$log" 2>&1; then
    cat "$log" >&2
    die "the $1 build failed"
  fi
  exec {lock}>&-
}

# use_module PRESET: lets lua5.4 and whatever it starts find our Lua files and the module of that build.
use_module() {
  export LUA_PATH="$ROOT/lua/?.lua;$ROOT/lua/?/init.lua;$ROOT/spec/?.lua;;"
  export LUA_CPATH="$BUILD/$1/lua/?.so;;"
}
