#!/bin/sh
# keep.sh FOLDER COMMAND...: runs COMMAND for as long as our standard input is open, handing on the lines that come in; when
# that closes, ends it and removes FOLDER, so that a test run that is killed leaves nothing behind. FOLDER/pid has the
# command's process id, FOLDER/out what it prints, FOLDER/exit its status once it is gone.

folder=$1
shift
# Only we read our input: whoever else held it would never see its end. The shell's own remarks ("Killed") go nowhere.
exec 3<&0 </dev/null 2>/dev/null
# Open in both directions, so that neither opening nor writing waits for a reader.
mkfifo "$folder/in" && exec 4<>"$folder/in"
# Ten thousand sockets need descriptors; a VM sizes its tables by the limit, so not more than that.
# shellcheck disable=SC3045  # dash has it as well
ulimit -n 65536 || ulimit -n "$(ulimit -Hn)"

run() {
  "$@" <"$folder/in" >"$folder/out" 2>&1 3<&- 4<&- &
  echo $! >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
  wait $!
  echo $? >"$folder/exit.new" && mv "$folder/exit.new" "$folder/exit"
}
run "$@" &
while read -r line <&3; do printf '%s\n' "$line" >&4; done
while [ ! -e "$folder/pid" ]; do sleep 0.01; done
[ -e "$folder/exit" ] || kill -9 "$(cat "$folder/pid")"
wait
case $folder in
  */edeliver-relup.*) rm -rf "$folder" ;;
esac
