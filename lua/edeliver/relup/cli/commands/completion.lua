--- `completion`: the script that completes this program's command lines in a shell.
--
-- @module edeliver.relup.cli.commands.completion

local exit = require "edeliver.relup.cli.exit"

local completion = {
  summary = "Print the completion script for a shell.",
  examples = {
    "edeliver-relup completion bash > ~/.local/share/bash-completion/completions/edeliver-relup",
    "edeliver-relup completion zsh > ~/.zfunc/_edeliver-relup",
    "edeliver-relup completion fish > ~/.config/fish/completions/edeliver-relup.fish",
  },
}

function completion.add_to_parser(parser)
  parser:argument("shell", "The shell."):choices { "bash", "zsh", "fish" }:argname "<shell>"
end

-- zsh counts words: the node, which people say first, is left out of the count.
local WITHOUT_NODE = [=[
_edeliver-relup() {
  if (( CURRENT > 2 )) && [[ $words[2] == *@* ]]; then
    words[2]=()
    (( CURRENT-- ))
  fi
]=]

local scripts = {
  bash = function(parser) return parser:get_bash_complete() end,
  fish = function(parser) return parser:get_fish_complete() end,
  zsh = function(parser)
    local before, after = parser:get_zsh_complete():match "^(.-)_edeliver%-relup%(%) {\n(.*)$"
    return before .. WITHOUT_NODE .. after
  end,
}

--- Runs the command.
-- @return exit code
function completion.command(args)
  local text = scripts[args.shell](require("edeliver.relup.cli.parser").build())
  args.output:give { shell = args.shell, script = text }
  args.output:line((text:gsub("\n$", "")))
  return exit.OK
end

return completion
