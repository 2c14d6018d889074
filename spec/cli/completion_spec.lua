-- The completion scripts, asked by the shells themselves, and the manual page, read by man.

local process = require "support.process"
local program = require "cli.program"
local terminal = require "cli.terminal"
local parser = require "edeliver.relup.cli.parser"

local function has(name) return select(2, process.output("command -v " .. name .. " 2>/dev/null")) == true end

describe("completion", function()
  local folder

  setup(function()
    folder = process.temporary_folder()
    for _, shell in ipairs { "bash", "zsh", "fish" } do
      local shown = program.run { "completion", shell }
      assert.equal(0, shown.code, shown.err)
      local file = assert(io.open(folder .. "/" .. shell, "w"))
      file:write(shown.out)
      file:close()
    end
  end)
  teardown(function() process.remove_folder(folder) end)

  -- What bash would offer for the last word.
  local function bash(...)
    local words = { ... }
    local quoted = {}
    for i, word in ipairs(words) do quoted[i] = process.quote(word) end
    return (process.output(("bash -c 'source %s/bash; COMP_WORDS=(edeliver-relup \"$@\"); COMP_CWORD=%d; _edeliver-relup; "
      .. "echo ${COMPREPLY[@]}' bash %s"):format(folder, #words, table.concat(quoted, " "))):gsub("%s+$", ""))
  end

  it("works in bash", function()
    assert.equal("upload upgrade", bash("myapp@web1", "up"))
    assert.equal("--permanent", bash("myapp@web1", "upgrade", "--perm"))
    assert.equal("--permanent", bash("myapp@web1", "upgrade", "1.4.6", "--perm"))
    assert.equal("transports", bash("myapp@web1", "upgrade", "--target", "tr"))
  end)

  it("works in fish", function()
    if not has "fish" then return pending "needs fish" end
    local function fish(line)
      local found = process.output(("HOME=%s fish -c 'source %s/fish; complete -C %s' 2>&1"):format(
        folder, folder, process.quote(line):gsub("'", "\"")))
      local words = {}
      for word in found:gmatch "([^\t\n]+)[^\n]*\n" do words[#words + 1] = word end
      return words
    end
    assert.same({ "upgrade", "upload" }, (function(words) table.sort(words) return words end)(fish "edeliver-relup a@b up"))
    assert.same({ "--permanent" }, fish "edeliver-relup a@b upgrade --perm")
  end)

  it("works in zsh", function()
    if not has "zsh" then return pending "needs zsh" end
    os.execute(("mv %s/zsh %s/_edeliver-relup"):format(folder, folder))
    local screen <close> = terminal.open(("exec env ZDOTDIR=%s HOME=%s zsh -f -i"):format(folder, folder))
    process.sleep(200)
    screen:type(("PS1='z> '; fpath=(%s $fpath); autoload -U compinit; compinit -u -D; clear"):format(folder), "Enter")
    screen:wait_for "z>$"
    screen:type("edeliver-relup a@b upg", "Tab")
    screen:wait_for "edeliver%-relup a@b upgrade"
    screen:type(" --perm", "Tab")
    screen:wait_for "upgrade +%-%-permanent"
  end)
end)

describe("the manual page", function()
  it("is one that man can read, with every command in it", function()
    local folder = process.temporary_folder()
    local shown = program.run { "man" }
    local file = assert(io.open(folder .. "/edeliver-relup.1", "w"))
    file:write(shown.out)
    file:close()
    assert.matches("^%.TH EDELIVER", shown.out)
    local text
    if has "groff" then
      local complaints = process.output(("groff -man -Tutf8 -ww -z %s/edeliver-relup.1 2>&1"):format(folder))
      assert.equal("", complaints)
      text = process.output(("groff -man -Tascii -P-c %s/edeliver-relup.1 2>/dev/null"):format(folder))
      text = text:gsub(".\8", "")
    else
      text = shown.out:gsub("\\%-", "-")
    end
    process.remove_folder(folder)
    for _, name in ipairs(parser.commands) do
      local usage = "edeliver-relup " .. (parser.command(name).on_node and "NODE " or "") .. name
      assert.matches(usage, text, 1, true)
    end
    for _, part in ipairs { "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "EDELIVER_RELUP_COOKIE", "--in-relup" } do
      assert.matches(part, text, 1, true)
    end
  end)
end)
