--- Whether an operator was told the truth: what the command line said and returned, held against what the observer on the node
-- has written down.

local scene = require "support.scene"

local verdict = {}

-- What the report says of the node and its sockets.
local function about_the_node(add, facts)
  local text = facts.printed
  if not (facts.restarted or facts.dead) then
    for _, words in ipairs { "connections are gone", "restarted", "went down" } do
      if text:find(words, 1, true) then add(("says %q of a node that was there all the time"):format(words)) end
    end
  end
  if facts.dead and text:find "[.:] [Tt]he guard there undoes" then add "says that the guard of a dead node undoes everything" end
  if not facts.signalled and text:find "nother Ctrl%-C" then add "speaks of another Ctrl-C, and there was none" end
end

-- What the report says of the install.
local function about_the_install(add, facts, result)
  local seen = facts.seen
  for _, step in ipairs(result.steps) do
    if (step.name == "install" or step.name == "install_release") and step.status == "done" then
      local from, to = tostring(step.result):match "(%d+%.%d+%.%d+%S*) %-> (%d+%.%d+%.%d+%S*)"
      if from and from == to then add(("install done: %s -> %s"):format(from, to)) end
      if #seen.codes < 2 and not facts.restarted then add "an install is done, and no code was changed" end
    end
  end
  -- A node that somebody killed has ended after the run, or there would be no ok.
  local runs = facts.dead and seen.before or seen.code
  if result.ok and runs ~= facts.version then
    add(("ok, and %s runs instead of %s"):format(tostring(runs), facts.version))
  end
end

-- What the report says of the suspended.
local function about_the_suspended(add, facts, result)
  local asked = facts.seen.most.asked or 0
  if result.perhaps_suspended then return end
  -- The swap suspends some of its own.
  for _, stop in ipairs(result.swap or {}) do asked = asked - stop.processes end
  if result.suspended == 0 and asked > 0 then
    add(("no process was suspended, and %d were asked to"):format(asked))
  elseif result.suspended > 0 and asked == 0 and not facts.link then
    add(("%d processes were suspended, and none was asked to"):format(result.suspended))
  elseif result.ok and result.suspended ~= asked then
    add(("%d processes were suspended, and %d were asked to"):format(result.suspended, asked))
  end
end

--- All that is not true.
-- @tparam table facts `status` (of the program), `printed`, `document` (or nil), `seen` (what the observer gave), `version` (to
-- be installed), `restarted` (whether the node was), `dead` (whether it is), `signalled` (whether the operator got a signal),
-- `link` (whether its connection was broken), `clean` (whether nothing was left when the program ended), `others`
-- (whether others were at work on the node, so that not all that was seen is the operator's)
-- @treturn {string,...}
function verdict.lies(facts)
  local lies = {}
  local function add(text) lies[#lies + 1] = text end
  -- A signal may come while the program is still loaded: Lua's own interpreter answers it then, and nothing has begun.
  local had_begun = facts.seen.lines:find " guard yes\n" ~= nil
  local too_early = facts.signalled and not facts.document and (facts.others or not had_begun)
  local traceback = scene.traceback_in(facts.printed)
  if traceback and not too_early then add("a traceback: " .. traceback) end
  about_the_node(add, facts)
  local document = facts.document
  if not document then
    if not facts.killed and not too_early then
      add("no report at all, exit " .. tostring(facts.status))
    end
    return lies
  end
  if document.exit ~= facts.status and not facts.killed then
    add(("exits with %d, and says %d"):format(facts.status, document.exit))
  end
  local result = document.result
  if not result then
    if not document.error then add "neither a result nor an error" end
    return lies
  end
  if (result.ok or false) ~= (document.exit == 0) then
    add(("ok is %s, exit is %d"):format(tostring(result.ok), document.exit))
  end
  -- Whoever leaves it to the guard does not see how soon that has undone everything.
  local left = facts.link or facts.dead or facts.printed:find "[Tt]he guard on %S+ undoes everything"
    or facts.printed:find "does not answer%. It undoes everything when it gets to it"
  if document.exit == 3 and facts.clean and not left then add "exit 3, and nothing was suspended" end
  if (document.exit == 4) ~= (facts.restarted and true or false) then
    add(("exits with %d, and the node %s"):format(document.exit, facts.restarted and "was restarted" or "is the same"))
  end
  if facts.others then return lies end
  about_the_install(add, facts, result)
  if not facts.restarted and not facts.dead then about_the_suspended(add, facts, result) end
  return lies
end

return verdict
