#!/bin/sh
# run.sh ROOT ARGUMENTS...: starts the release that ROOT/releases/start_erl.data names as the permanent one, in embedded
# mode, out of ROOT alone but for the emulator itself.

ROOTDIR=$1
shift
read -r _ version <"$ROOTDIR/releases/start_erl.data"
export ROOTDIR BINDIR EMU=beam PROGNAME=erl
exec "$BINDIR/erlexec" -boot "$ROOTDIR/releases/$version/start" -mode embedded -config "$ROOTDIR/releases/$version/sys" "$@"
