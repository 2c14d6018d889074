--- A running depot (see support.releases): a plain mix release with many processes, and what it shows of its version.

local connect = require("edeliver.relup.node").connect
local process = require "support.process"
local program = require "cli.program"
local releases = require("support.releases").of "depot"

local depot = {}
local methods = {}
methods.__index = methods
methods.__close = function(self) self:stop() end

--- The folder with a version's release, or its tarball.
function depot.release(version, tarball)
  return ("%s/depot-%s%s"):format(releases:built(), version, tarball and ".tar.gz" or "")
end

--- Starts one.
-- @tparam[opt] table options `version` ("1.0.0"), `items` (processes, 100)
function depot.start(options)
  options = options or {}
  local self = setmetatable({ folder = process.temporary_folder(), items = options.items or 100 }, methods)
  self.root = releases:copy(options.version or "1.0.0", self.folder)
  self.env = { DEPOT_ITEMS = self.items, DEPOT_HOME = "here", DEPOT_SECRET = "tiger" }
  self:boot()
  return self
end

--- Starts it, by bin/depot start; also another time, when it has ended.
function methods:boot()
  self.release = releases:start(self.root, self.env)
  self.node = assert(connect(self.release.name, { cookie = self.release.cookie, epmd_port = self.release.epmd_port }))
  self.life = self:eval "erlang:system_info(creation)"
end

function methods:shut()
  if self.node then self.node:close() end
  if self.release then self.release:stop() end
  self.node, self.release = nil, nil
end

function methods:stop()
  self:shut()
  if self.folder then process.remove_folder(self.folder) end
  self.folder = nil
end

--- Evaluates Erlang there; raises where that goes wrong.
function methods:eval(text) return (assert(self.release:eval(text))) end

--- Runs the program against it: as `program.run`, NODE stands for the node.
function methods:run(line, options)
  local given = { node = self.release }
  for name, value in pairs(options or {}) do given[name] = value end
  return program.run(line, given)
end

--- The same, with --json.
function methods:json(line) return program.json(line, { node = self.release }) end

--- Deploys a version by the program.
function methods:deploy(version, words)
  return self:json(("NODE deploy %s %s"):format(depot.release(version), words or ""))
end

--- What lies on its disk, as one number; of files that the node writes while it runs, nothing.
function methods:disk()
  return (process.output(("cd %s && find . -type f | grep -v '^./tmp/' | LC_ALL=C sort | xargs md5sum | md5sum"):format(
    process.quote(self.root))))
end

--- The files below its root, in one text.
function methods:files()
  return (process.output(("cd %s && find . -type f | grep -v '^./tmp/' | LC_ALL=C sort"):format(process.quote(self.root))))
end

--- How the items are: how many, the sum of their counts, and the shapes of their states.
function methods:states()
  return self:eval [[
    States = [gen_server:call(P, state) || {_, P, _, _} <- supervisor:which_children('Elixir.Depot.Items')],
    {length(States), lists:sum([maps:get(count, S) || S <- States]),
     lists:usort([lists:sort(maps:keys(S)) || S <- States])}]]
end

local FIELDS = {
  ["1.0.0"] = "['__struct__',count,id]", ["2.0.0"] = "['__struct__',count,id,reserved]",
  ["3.0.0"] = "['__struct__',count,id,reserved,tags]",
}

--- Asserts that all of it is a version: code, states, protocol, children, applications, values; that no state was lost and the
-- node not restarted, that nobody is suspended, and that nothing of ours is left there.
-- @tparam[opt] integer taken how much less the sum of all counts is than at the start
function methods:is_whole(version, taken)
  local assert = require "luassert"
  local major = tonumber(version:match "^%d")
  local sum = 3 * self.items * (self.items + 1) // 2 - (taken or 0)
  assert.equal(("{%d,%d,[%s]}"):format(self.items, sum, FIELDS[version]), self:states())
  assert.equal(tostring(major), self:eval "'Elixir.Depot.Version':version()")
  assert.equal(major == 1 and "{1,pounds}" or "{1,kilograms}", self:eval "'Elixir.Units':weight(1)")
  assert.equal(major == 1 and "unknown" or "3", self:eval "'Elixir.Depot.Price':'of'(<<\"abc\">>)")
  assert.equal(major == 1 and "['Elixir.Depot.Inspector','Elixir.Depot.Ledger']"
    or "['Elixir.Depot.Ledger','Elixir.Depot.Scanner']",
    self:eval "lists:sort([Id || {Id, P, _, _} <- supervisor:which_children('Elixir.Depot.Shelves'), is_pid(P)])")
  assert.equal(major == 1 and "[depot,labels]" or "[depot,mails]",
    self:eval "lists:sort([A || {A, _, _} <- application:which_applications(), lists:member(A, [depot, labels, mails])])")
  assert.equal(major == 1 and "{<<\"HERE\">>,<<\"red\">>,<<\"here\">>,<<\"tiger\">>}"
    or "{<<\"ereh\">>,<<\"blue\">>,<<\"here\">>,<<\"tiger\">>}", self:eval [[
    {ok, Format} = application:get_env(depot, format), {ok, Home} = application:get_env(depot, home),
    {ok, Color} = application:get_env(depot, color), {ok, Key} = application:get_env(depot, secret_key),
    {Format(Home), Color, Home, Key}]])
  assert.equal(0, self.release:suspended())
  assert.equal("undefined", self:eval "whereis(edeliver_relup)")
  assert.equal(version, self:running())
  assert.equal(self.life, self:eval "erlang:system_info(creation)", "the node was restarted")
end

--- The version that release_handler says is running.
function methods:running()
  return self:eval [[
    Known = release_handler:which_releases(),
    case [V || {_, V, _, current} <- Known] ++ [V || {_, V, _, permanent} <- Known] of [V | _] -> list_to_atom(V) end]]
    :gsub("'", "")
end

--- Waits until nothing of ours is on the node any more but what purges.
function methods:wait_until_left(timeout)
  assert(process.wait_until(function() return self.release:eval "whereis(edeliver_relup)" == "undefined" end, timeout or 10000),
    "the guard does not leave")
end

return depot
