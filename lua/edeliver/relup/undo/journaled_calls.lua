--- The calls that our own steps journal, because they undo something; each with the shape of its arguments.
--
-- A journal is a file: somebody may have written any call into it. So recovery makes these alone; a step of the operator's own
-- may have journaled another, which takes their word. Asks no node, and makes no call.
--
-- @module edeliver.relup.undo.journaled_calls

local escape = require "edeliver.relup.base.escape"
local erlang = require "edeliver.relup.node.erlang"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local journaled_calls = {}

local atom = term.atom
local SHOWN = 400 -- characters of a call

local PIDS = shape.list(shape.pid)
local SEND = term.export("erlang", "send", 2)
local LABEL = shape.either(shape.is(atom "worker"), shape.is(atom "supervisor"))

-- A file of that name, by its whole path, and nowhere else.
local function is_path_of_relup(path)
  local text = term.text(path)
  return text ~= nil and text:find "^/.*/relup$" ~= nil and not text:find("/../", 1, true)
end

-- The text of a file with one tuple, `{Vsn, Ups, Downs}`.
local function is_relup(text)
  if not shape.binary(text) then return false end
  local terms = require("edeliver.relup.consult").parse(text) -- only here: it takes a good part of a program's start
  return terms ~= nil and #terms == 1 and shape.tuple(shape.text, shape.list(), shape.list())(terms[1])
end

-- By module and function: the shapes of the arguments.
local CALLS = {
  ["Elixir.ThousandIsland:resume"] = { shape.pid },
  ["file:write_file"] = { is_path_of_relup, is_relup },
  ["gen_server:call"] = { shape.is(atom "edeliver_relup_environment"), shape.is(atom "put_back"), shape.is(4000) },
  ["lists:zipwith"] = {
    function(fun) return term.equal(fun, SEND) end, PIDS, shape.list(shape.is(atom "upgrade_finished")),
  },
}

-- Texts of ours that are evaluated on the node, by their names: the shapes of their bindings.
local TEXTS = {
  resume_ranch_listener = { Ref = shape.any },
  restart_children = { Children = shape.list(shape.tuple(shape.pid, shape.any)) },
  relabel_connections = { Sups = PIDS, From = LABEL, To = LABEL },
}

local PAIR = shape.tuple(shape.atom, shape.any)
local BINDINGS = shape.list(PAIR)

-- `[{Name, Value}]` as a table; nil where it is something else.
local function read_bindings(list)
  if not BINDINGS(list) then return nil end
  local found = {}
  for _, pair in ipairs(list) do found[pair[1].name] = pair[2] end
  return found
end

local function have_shapes(values, shapes)
  for name, has in pairs(shapes) do
    if values[name] == nil or not has(values[name]) then return false end
  end
  return true
end

-- Which text of ours a call evaluates, and with which bindings; nil where it is none of ours, to the letter.
local function our_text(undo)
  if undo[1] ~= "erl_eval" or undo[2] ~= "expr" or #undo[3] ~= 5 then return nil end
  local bound = read_bindings(undo[3][2])
  local bindings = bound and read_bindings(bound.Bindings)
  if not bindings then return nil end
  for name, shapes in pairs(TEXTS) do
    if have_shapes(bindings, shapes) then
      local made, ours = pcall(erlang.expression, name, bindings)
      if made and term.equal(term.list(ours[3]), undo[3]) then return name, bindings end
    end
  end
end

--- Whether one of our own steps may have journaled this call.
-- @tparam table undo `{ module, fun, arguments }`, as `journal.read` gives it
function journaled_calls.is_ours(undo)
  if our_text(undo) then return true end
  local shapes = CALLS[undo[1] .. ":" .. undo[2]]
  return shapes ~= nil and #undo[3] == #shapes and have_shapes(undo[3], shapes)
end

-- The bindings of a text, in words.
local function said(bindings)
  local parts = {}
  for name, value in pairs(bindings) do parts[#parts + 1] = name .. " = " .. term.format(value) end
  table.sort(parts)
  return table.concat(parts, ", ")
end

--- A call in words, `module:fun(argument, ...)`, cut where it is long.
function journaled_calls.describe(undo)
  local name, bindings = our_text(undo)
  local text
  if name then
    text = ("%s.erl:run(%s)"):format(name, said(bindings))
  else
    local arguments = {}
    for i, argument in ipairs(undo[3]) do arguments[i] = term.format(argument) end
    text = ("%s:%s(%s)"):format(term.format(atom(undo[1])), term.format(atom(undo[2])), table.concat(arguments, ", "))
  end
  return escape.shortened(text, SHOWN)
end

return journaled_calls
