--- What Phoenix needs when the release below it changes: the static files that open pages still ask for, endpoints that read
-- their manifest and configuration anew, LiveViews that render again.
--
-- Where there is no Phoenix, each of these finds nothing to do. Knows no deploy; who calls it says when.
--
-- @module edeliver.relup.web.phoenix.renewal

local count = require "edeliver.relup.base.count"
local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local release_folder = require "edeliver.relup.otp.release_folder"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local renewal = {}

local atom, list, charlist = term.atom, term.list, term.charlist

local TIMEOUT = 60000 -- ms
local CARRIED = shape.tuple(shape.integer, shape.list(shape.binary))
local OUTCOME = shape.either(shape.is(atom "told"), shape.is(atom "changed"), shape.tuple(shape.is(atom "failed"), shape.any))
local TOLD = shape.list(shape.tuple(shape.atom, OUTCOME))
local VIEWS = shape.either(shape.integer, shape.is(atom "next_event"))

--- Keeps digested static files of one release reachable in another, which lies on the node's disk and is known to its
-- release_handler. To be called before the install.
-- @param node
-- @string from the version whose pages are open
-- @string to
-- @return[1] `{ files = how many, bytes = copied (links cost none), paths = a list }`, for `take_back`
-- @return[2] nil, message, code
function renewal.carry_over(node, from, to)
  local folder, message, code = release_folder.path(node)
  if not folder then return nil, message, code end
  local answer
  answer, message, code = shape.expect(node, "which static files are carried over", CARRIED, node:run("carry_static_files", {
    From = charlist(from), Releases = charlist(folder), To = charlist(to),
  }, TIMEOUT))
  if not answer then return nil, message, code end
  return { files = #answer[2], bytes = answer[1], paths = answer[2] }
end

--- Removes what `carry_over` put there.
-- @return[1] true
-- @return[2] nil, message, code
function renewal.take_back(node, carried)
  if #carried.paths == 0 then return true end
  local done, message, code = node:map("file", "delete", carried.paths, TIMEOUT)
  if not done then return nil, message, code end
  return true
end

-- Endpoints whose configuration changes are given it; all read their manifest.
local function tell(node, changed, ctx)
  local all, message, code = endpoints.all(node)
  if not all then return nil, message, code end
  local names, words = {}, {}
  for i, endpoint in ipairs(all) do names[i] = endpoint.name end
  if #names == 0 then return words end
  local told
  told, message, code = shape.expect(node, "what its endpoints were told", TOLD, node:run("phoenix_renew_endpoints", {
    Changed = list(changed), Endpoints = list(names),
  }, TIMEOUT))
  if not told then return nil, message, code end
  for _, row in ipairs(told) do
    local name, outcome = term.format(row[1]), row[2]
    if term.kind(outcome) == "tuple" then
      ctx:log("warning", ("%s did not take the new configuration: %s"):format(name, term.format(outcome[2]):sub(1, 300)))
    elseif outcome == atom "changed" then
      ctx:log("warning", ("The configuration of %s changed. Its url and secrets count now; http, https and server count when it "
        .. "is started again"):format(name))
    end
  end
  words[1] = ("%s renewed"):format(count.of(#told, "endpoint"))
  return words
end

--- Tells endpoints and LiveViews that a release was installed. To be called behind the install.
-- @param node
-- @tparam table changed the keys of the configuration that changed: a list of `{Application, Key}`
-- @param ctx
-- @return[1] what was done, in words; "" where there is no Phoenix
-- @return[2] nil, message, code
function renewal.renew(node, changed, ctx)
  local words, message, code = tell(node, changed, ctx)
  if not words then return nil, message, code end
  local views
  views, message, code = shape.expect(node, "how many LiveViews it has", VIEWS, node:run("live_views_render", {}, TIMEOUT))
  if views == nil then return nil, message, code end
  if views == atom "next_event" then
    words[#words + 1] = "LiveViews show the new code with their next event"
  elseif views > 0 then
    words[#words + 1] = ("%s asked to render again"):format(count.of(views, "LiveView"))
  end
  return table.concat(words, ", ")
end

return renewal
