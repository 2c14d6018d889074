--- `completion`: the script that completes this program's command lines in a shell.
--
-- What argparse knows stands in the script; what only the world knows (nodes, environments, versions, listeners) the script asks
-- this program for, which has a second for it.
--
-- @module edeliver.relup.cli.commands.completion

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"

local completion = {
  summary = "Print the completion script for a shell.",
  description = "Commands and options; and nodes (those that epmd knows here, those of `history`, of environments),\n"
    .. "environments, and versions and listeners of a node that can be reached within a second.",
  examples = {
    "edeliver-relup completion bash > ~/.local/share/bash-completion/completions/edeliver-relup",
    "edeliver-relup completion zsh > ~/.zfunc/_edeliver-relup",
    "edeliver-relup completion fish > ~/.config/fish/completions/edeliver-relup.fish",
  },
}

function completion.add_to_parser(parser)
  parser:argument("words", "The shell: bash, zsh or fish; with --candidates, the words of a command line."):argname "<shell>"
    :args "*"
  parser:flag("--candidates", "Print what may be offered for the last of these words, which the scripts ask for.")
end

-- bash cuts words at "@", and puts what is offered in the place of the last piece, which it gives as $2.
local BASH = [=[
_edeliver-relup_live() {
  local line="${COMP_LINE:0:COMP_POINT}" words=() current last candidate found=()
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  (( ${#words[@]} > 1 )) || return
  current="${words[${#words[@]}-1]}"
  last="${current%"$1"}"
  while IFS= read -r candidate; do
    [[ $candidate == "$current"* ]] && found+=("${candidate#"$last"}")
  done < <(timeout 1 "${words[0]}" completion --candidates -- "${words[@]:1}" 2>/dev/null </dev/null)
  (( ${#found[@]} )) || return
  if (( ${#words[@]} > 2 )); then COMPREPLY=("${found[@]}"); else COMPREPLY+=("${found[@]}"); fi
}

_edeliver-relup_all() {
  _edeliver-relup
  _edeliver-relup_live "$2"
}

complete -F _edeliver-relup_all -o bashdefault -o default edeliver-relup
]=]

-- zsh counts words: the node, which people say first, is left out of the count.
local ZSH = [=[
_edeliver-relup() {
  local -a live
  live=(${(f)"$(timeout 1 ${(Q)words[1]} completion --candidates -- "${(@Q)words[2,CURRENT-1]}" "$PREFIX" \
    2>/dev/null </dev/null)"})
  if (( $#live )); then
    compadd -a -- live
    (( CURRENT > 2 )) && return
  fi
  if (( CURRENT > 2 )) && [[ $words[2] == *@* ]]; then
    words[2]=()
    (( CURRENT-- ))
  fi
]=]

local FISH = [=[

function __fish_edeliver-relup_live
    set -l words (commandline -opc)
    timeout 1 $words[1] completion --candidates -- $words[2..-1] (commandline -ct) 2>/dev/null </dev/null
end

complete -c edeliver-relup -a '(__fish_edeliver-relup_live)'
]=]

local scripts = {
  bash = function(parser)
    return (parser:get_bash_complete():gsub("complete %-F _edeliver%-relup .-\n$", function() return BASH end))
  end,
  fish = function(parser) return parser:get_fish_complete() .. FISH end,
  zsh = function(parser)
    local before, after = parser:get_zsh_complete():match "^(.-)_edeliver%-relup%(%) {\n(.*)$"
    return before .. ZSH .. after
  end,
}

local function offer(args)
  local found = require("edeliver.relup.cli.candidates").of(args.words)
  for _, text in ipairs(found) do args.output:line(text) end
  args.output:give { candidates = output.array(found) }
  return exit.OK
end

--- Runs the command.
-- @return exit code
function completion.command(args)
  if args.candidates then return offer(args) end
  local shell = args.words[1]
  local script = scripts[shell]
  if not script or #args.words > 1 then
    args.output:fail("say which shell: bash, zsh or fish", "badarg")
    return exit.USAGE
  end
  local text = script(require("edeliver.relup.cli.parser").build())
  args.output:give { shell = shell, script = text }
  args.output:line((text:gsub("\n$", "")))
  return exit.OK
end

return completion
