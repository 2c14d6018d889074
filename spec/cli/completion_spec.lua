-- The completion scripts, asked by the shells themselves, and the manual page, read by man.

local chat = require "support.chat"
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

describe("completion of what only the world knows", function()
  local release, folder

  -- A program of that name in front of all others; and a clock that waits, however busy this machine is.
  local function in_front(name, text)
    local path = folder .. "/bin/" .. name
    local file = assert(io.open(path, "w"))
    file:write("#!/bin/sh\n", text, "\n")
    file:close()
    process.shell("chmod 755 %s", path)
  end

  setup(function()
    release = chat.start { next = { "2.0.0" } }
    folder = process.temporary_folder()
    process.shell("mkdir -p %s/bin %s/edeliver-relup %s/home", folder, folder, folder)
    in_front("edeliver-relup", program.command({}, { node = release, env = { XDG_CONFIG_HOME = folder } }) .. ' "$@"')
    in_front("timeout", 'shift; exec "$@"')
    process.shell("echo 'return { production = { node = \"shop@web1\" } }' >%s/edeliver-relup/config.lua", folder)
    for _, shell in ipairs { "bash", "zsh", "fish" } do
      process.shell("%s/bin/edeliver-relup completion %s >%s/%s", folder, shell, folder, shell)
    end
    process.shell("cp %s/zsh %s/_edeliver-relup", folder, folder)
  end)
  teardown(function()
    release:stop()
    process.remove_folder(folder)
  end)

  local function candidates(...)
    local words = { "completion", "--candidates", "--json", "--", ... }
    local shown = program.run(words, { node = release, env = { XDG_CONFIG_HOME = folder } })
    assert.same({ 0, "" }, { shown.code, shown.err })
    return require("dkjson").decode(shown.out).result.candidates
  end

  local function is_among(list, text)
    for _, one in ipairs(list) do
      if one == text then return true end
    end
    return false
  end

  it("offers nodes, environments, versions and listeners where they fit, and nothing elsewhere", function()
    local first = candidates ""
    assert.is_true(is_among(first, "@production") and is_among(first, "shop@web1"))
    local short = release.name:match "^[^@]+" .. "@" .. process.output("hostname"):match "^[%w-]+"
    assert.is_true(is_among(first, short), table.concat(first, " "))
    assert.is_true(is_among(candidates("status", ""), "shop@web1"))
    assert.is_true(is_among(candidates("rollout", "x", "--node", ""), "shop@web1"))
    local name = release.name
    for _, words in ipairs { { name, "upgrade", "" }, { "upgrade", name, "" }, { name, "rollback", "--to", "" } } do
      assert.is_truthy(process.wait_until(function() -- a connection has half a second
        local found = candidates(table.unpack(words))
        return is_among(found, "1.0.0") and is_among(found, "2.0.0")
      end, 20000), table.concat(words, " "))
    end
    assert.is_truthy(process.wait_until(function()
      return is_among(candidates(name, "sockets", "--listener", ""), "chat_plain")
    end, 20000))
    for _, words in ipairs {
      { name, "" }, { name, "upgrade", "2.0.0", "" }, { name, "upgrade", "--per" }, { "nobody@127.0.0.1", "upgrade", "" },
      { "@nowhere", "upgrade", "" }, { "lint", "" }, { "nonsense", "a@b", "" },
    } do
      assert.same({}, candidates(table.unpack(words)), table.concat(words, " "))
    end
  end)

  it("in bash, that cuts words at the at sign", function()
    local screen <close> = terminal.open(("exec env PATH=%s/bin:$PATH PS1='b> ' bash --norc --noprofile -i"):format(folder))
    screen:wait_for "b>$"
    screen:type((". %s/bash; clear"):format(folder), "Enter")
    screen:wait_for "^b>$"
    screen:complete("edeliver-relup @prod", "b> edeliver%-relup @production")
    screen:cancel "b>"
    screen:complete("edeliver-relup shop@w", "b> edeliver%-relup shop@web1")
    screen:cancel "b>"
    screen:complete(("edeliver-relup %s upgrade 2"):format(release.name), "upgrade 2%.0%.0")
  end)

  it("in zsh", function()
    if not has "zsh" then return pending "needs zsh" end
    local screen <close> = terminal.open(("exec env PATH=%s/bin:$PATH ZDOTDIR=%s/home HOME=%s/home zsh -f -i"):format(folder,
      folder, folder))
    screen:wait_for "[%%#]"
    screen:type(("PS1='z> '; fpath=(%s $fpath); autoload -U compinit; compinit -u -D; clear"):format(folder), "Enter")
    screen:wait_for "z>$"
    screen:complete("edeliver-relup @prod", "z> edeliver%-relup @production")
    screen:cancel "z>"
    screen:complete(("edeliver-relup %s upgrade 2"):format(release.name), "upgrade 2%.0%.0")
  end)

  it("in fish", function()
    if not has "fish" then return pending "needs fish" end
    local function fish(line)
      return (process.output(("PATH=%s/bin:$PATH HOME=%s/home fish -c 'source %s/fish; complete -C \"%s\"' 2>&1"):format(folder,
        folder, folder, line)))
    end
    assert.equal("@production", fish("edeliver-relup @prod"):match "^[^%s]+")
    assert.is_truthy(process.wait_until(function()
      return fish(("edeliver-relup %s upgrade 2"):format(release.name)):find("2.0.0", 1, true)
    end, 20000))
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
