--- `plan`: what an upgrade between two releases is, before anybody tries it.
--
-- @module edeliver.relup.cli.commands.plan

local document = require "edeliver.relup.plan.document"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local plan_page = require "edeliver.relup.cli.plan_page"
local planner = require "edeliver.relup.plan"
local session = require "edeliver.relup.cli.session"

local plan = {
  may_connect = true,
  summary = "Say what an upgrade between two releases is: what changes, and whether it can be hot.",
  description = "Compares two releases by content, from their folders or tarballs. That needs no node and no Erlang.\n"
    .. "With a node in the place of the old release, what runs there counts; it is asked, and nothing is changed.\n"
    .. "Exit code 0 where the upgrade is hot, 1 where it is cold or, with --strict, has warnings.",
  examples = {
    "edeliver-relup plan releases/myapp-1.4.5 _build/prod/rel/myapp",
    "edeliver-relup myapp@web1 plan myapp-1.4.6.tar.gz",
    "edeliver-relup plan old new --relup new/releases/1.4.6/relup",
    "edeliver-relup myapp@web1 plan _build/prod/rel/myapp --start-child MyApp.Cache",
    "edeliver-relup plan myapp-1.4.5.tar.gz myapp-1.4.6.tar.gz --json",
  },
}

function plan.add_to_parser(parser)
  parser:argument("old", "The release that runs now: a folder or a .tar.gz; or a node, as it calls itself."):argname "<old>"
  parser:argument("new", "The release that it is to become."):argname "<new>"
  parser:option("--relup", "Write a relup to this file, as systools would."):argname "FILE"
  parser:option("--base", "Another release that the relup leads from; may be said more than once."):argname "OLD":count "*"
  parser:option("--appup", "Write the appups that were generated to this folder."):argname "DIR"
  parser:option("--start-child", "A new child of an application that will be started by hand; may be said more than once.")
    :argname "NAME":count "*"
  parser:option("--root", "Where the new release lies on the node, if not at the same path or below the node's own root.")
    :argname "DIR"
  parser:flag("--anyway", "Write the relup although the upgrade is cold.")
  parser:flag("--strict", "Exit with 1 where there are warnings, too.")
  parser:flag("--all", "Show every name, however many there are.")
  parser:flag("--values", "Show old and new values of the configuration; what looks secret is masked.")
end

--- The exit code that a plan gives.
-- @tparam table made a plan
-- @tparam boolean strict
function plan.exit_code(made, strict)
  if made.verdict == "cold" or strict and planner.count(made, "warning") > 0 then return exit.REFUSED end
  return exit.OK
end

-- A name with an @ is a node's, unless there is such a file.
local function is_node(old)
  local file = old:find "@" and io.open(old)
  if file then file:close() end
  return old:find "@" ~= nil and not file
end

-- The plans from all bases; the first is from the old release.
local function plans_of(args, from)
  local plans, options = {}, { start_children = args.start_child }
  for i, old in ipairs { from, table.unpack(args.base) } do
    options.root = i == 1 and args.root or nil
    local made, message, code = planner.compare(old, i == 1 and args.new or plans[1].new, options)
    if not made then return nil, message, code end
    plans[i] = made
  end
  return plans
end

local function write(path, text)
  local file, message = io.open(path, "wb")
  if not file then return nil, ("cannot write %s"):format(message), "system" end
  local done, problem = file:write(text)
  -- A full disk may show no earlier than here.
  local closed, why = file:close()
  if not done or not closed then return nil, ("cannot write %s: %s"):format(path, problem or why), "system" end
  return true
end

-- A relup that leads through a cold upgrade would be taken for one that works.
local function find_cold(plans)
  for _, made in ipairs(plans) do
    if made.verdict == "cold" then
      return nil, ("no relup was written: the upgrade from %s is cold. Mend what the reasons say, or say --anyway")
        :format(made.from.version), "cold"
    end
  end
  return true
end

local function write_relup(out, path, plans, anyway)
  local hot, why, cold = find_cold(plans)
  if not hot and not anyway then return nil, why, cold end
  local made, message, code = planner.relup(plans)
  if not made then return nil, ("no relup was written: %s"):format(message), code end
  local done
  done, message, code = write(path, made.text)
  if not done then return nil, message, code end
  out:line("")
  out:line(("The relup is in %s."):format(path))
  if not hot then out:line("  It leads through a cold upgrade: what the reasons above say, it does not do.", "red") end
  for _, note in ipairs(made.notes) do out:line("  " .. note, "yellow") end
  return true
end

local function write_appups(out, folder, plans)
  for name, text in pairs(planner.appups(plans)) do
    local path = ("%s/%s.appup"):format(folder, name)
    local done, message, code = write(path, text)
    if not done then return nil, message, code end
    out:line(("The appup of %s is in %s."):format(name, path))
  end
  return true
end

-- What is to be written besides; true where all of it was.
local function write_files(args, plans)
  local done, message, code = true, nil, nil
  if args.appup then done, message, code = write_appups(args.output, args.appup, plans) end
  if done and args.relup then done, message, code = write_relup(args.output, args.relup, plans, args.anyway) end
  return done, message, code
end

local function run(args, from)
  local out = args.output
  out:wait "comparing"
  local plans, message, code = plans_of(args, from)
  local done
  if plans then
    plan_page.show(out, plans[1], { all = args.all, values = args.values })
    out:give(document.of(plans[1], output.array))
    done, message, code = write_files(args, plans)
  end
  if not done then
    out:fail(message, code)
    return exit.of(code)
  end
  return plan.exit_code(plans[1], args.strict)
end

--- Runs the command.
-- @return exit code
function plan.command(args)
  if not is_node(args.old) then return run(args, args.old) end
  args.node, args.output.node = args.old, args.old
  local node, failed = session.connect(args)
  if not node then return failed end
  local _ <close> = node
  return run(args, node)
end

return plan
