--- The relup of a release that is unpacked on the node, read where the release handler reads it.
--
-- @module edeliver.relup.otp.relup

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local relup = {}

local MODULES = shape.either(shape.is(term.atom "none"), shape.list(shape.atom))

local LOADED = [[
  Folder = case {application:get_env(sasl, releases_dir), os:getenv("RELDIR")} of
    {{ok, Given}, _} -> Given;
    {undefined, false} -> filename:join(code:root_dir(), "releases");
    {undefined, Given} -> Given
  end,
  Releases = [{Status, V} || {_, V, _, Status} <- release_handler:which_releases()],
  From = proplists:get_value(current, Releases, proplists:get_value(permanent, Releases)),
  case file:consult(filename:join([Folder, Version, "relup"])) of
    {ok, [{_, Ups, Downs}]} ->
      case lists:keyfind(From, 1, Ups ++ Downs) of
        {_, _, Script} -> lists:append([Modules || {load_object_code, {_, _, Modules}} <- Script]);
        false -> none
      end;
    _ -> none
  end.]]

--- The modules that the upgrade from the running release to this version loads.
-- @param node
-- @string version
-- @return[1] a list of atoms
-- @return[2] nil, message, code; "no_relup" where the node has no relup that leads there
function relup.loaded_modules(node, version)
  local answer, message, code = shape.expect(node, "which modules its relup loads", MODULES,
    node:eval(LOADED, { Version = term.charlist(version) }))
  if answer == nil then return nil, message, code end
  if answer == term.atom "none" then
    return nil, ("%s has no relup from the running release to %s"):format(node.name, version), "no_relup"
  end
  return answer
end

return relup
