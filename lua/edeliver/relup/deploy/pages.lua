--- What a deploy does for the web: nothing that fails here is a reason to refuse or to undo, so it is said and no more.
--
-- @module edeliver.relup.deploy.pages

local count = require "edeliver.relup.base.count"
local renewal = require "edeliver.relup.web.phoenix.renewal"

local pages = {}

--- Before the install: pages that are open will ask for the static files of the version that is left.
-- @param node
-- @param ctx
-- @string from
-- @string to
-- @return for `take_back`, or nil
function pages.carry_over(node, ctx, from, to)
  local carried, message = renewal.carry_over(node, from, to)
  if not carried then
    ctx:log("warning", "static files for pages that are open could not be carried over: " .. message)
  elseif carried.files > 0 then
    ctx:log("info", ("%s carried over for pages that are open"):format(count.of(carried.files, "static file")))
  end
  return carried
end

--- Where the install has failed.
function pages.take_back(node, ctx, carried)
  local done, message = renewal.take_back(node, carried)
  if not done then ctx:log("warning", "static files that were carried over are left: " .. message) end
end

--- Behind the install, when sockets run again.
-- @param node
-- @param ctx
-- @tparam table changed what `deploy.configuration` has under that name
function pages.renew(node, ctx, changed)
  local words, message = renewal.renew(node, changed, ctx)
  if not words then
    ctx:log("warning", "endpoints and LiveViews were not told of the new release: " .. message)
  elseif words ~= "" then
    ctx:log("info", words)
  end
end

return pages
