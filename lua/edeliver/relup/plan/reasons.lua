--- The reasons that a plan gives: one entry a code, with its level, its words and the next step.
--
-- Levels: "cold" (this upgrade needs a restart), "warning" (it is hot, and wants a look), "note" (what it does). Codes are
-- stable: programs match them. Knows nothing of how a reason was found.
--
-- @module edeliver.relup.plan.reasons

local reasons = {}

local CODES = {
  -- cold
  erts_changed = { "cold", "The Erlang VM changes from erts %s to %s.", "Restart the node in the new release." },
  machine_changed = { "cold", "The release is built for %s, the old one for %s.",
    "Build the release on a machine like the node's." },
  core_application_changed = { "cold", "%s changes from %s to %s. It is part of what runs every upgrade.",
    "Restart the node in the new release, or build it with the old %s." },
  vm_args_changed = { "cold", "vm.args changes. The VM reads it only when it starts.",
    "Restart the node, or take the change back." },
  env_sh_changed = { "cold", "env.sh changes. It is read only when the node starts.",
    "Restart the node, or take the change back." },
  nif_library_changed = { "cold", "The native library %s changes. The VM keeps the one that it has loaded.",
    "Restart the node in the new release." },
  start_type_changed = { "cold", "The application %s changes its start type from %s to %s.",
    "Restart the node in the new release." },
  struct_fields_changed = { "cold", "The struct %s %s, and %s its old form as state with no code_change of its own.",
    "Write a code_change/3 in %s that takes the old struct." },
  struct_in_states = { "cold", "The struct %s %s. %s, and no code_change converts it.",
    "Restart the node in the new release, or leave the application of %s as it is in this upgrade." },
  no_room = { "cold", "The release takes %s of the node's disk, and %s are free.",
    "Make room, as by `remove` of an old release." },
  -- warnings
  struct_may_be_in_states = { "warning", "The struct %s %s. Values of the old form may be in states, tables and messages.",
    "Look at who keeps values of it; a code_change/3 can convert them." },
  application_child_added = { "warning", "%s starts %s in the new release. An upgrade does not call Application.start again.",
    "Start it with --start-child '%s', or from a relup.lua beside the release." },
  application_child_removed = { "warning", "%s no longer starts %s. It stays running until somebody ends it.",
    "End it from a relup.lua beside the release, with supervisor:terminate_child." },
  application_callback_changed = { "warning", "The application %s changes its callback module from %s to %s.",
    "What runs was started by the old one. Check that it is what the new one would start." },
  nif_module_changed = { "warning", "%s changes and loads a native library. The library needs an upgrade function for that.",
    "Try this upgrade on a node like this one first." },
  on_load_changed = { "warning", "%s changes and has an on_load function. It runs while processes are suspended.",
    "Check that its on_load is quick, and that it may run twice." },
  version_not_bumped = { "warning", "The application %s has other content under the same version %s.",
    "Nothing to do for deploy. A relup that systools or --relup makes does not reach it: bump its version." },
  version_unchanged = { "warning", "Both releases have the version %s and differ.",
    "Build it with another version, or deploy it with --version-suffix." },
  providers_changed = { "warning", "The configuration providers change from %s to %s.",
    "Compare the resolved configuration: deploy --plan against the node." },
  hot_patched = { "warning", "%s on the node is not what its own release has. Somebody patched it by hand.",
    "The upgrade replaces it. Make sure that the new release has what was patched." },
  loaded_by_hand = { "warning", "%s is loaded on the node, and no file has it. Somebody brought it by hand.",
    "Nothing to do for the upgrade. It is gone with the next start: put it into the release if it is needed." },
  appup_unreadable = { "warning", "The appup of %s cannot be read: %s.", "Mend it, or leave it out of the release." },
  removed_module_runs = { "warning", "%s goes, and %s in its code.",
    "End them first, or keep the module for one more release." },
  live_component_changed = { "warning",
    "The LiveComponent %s changes. Its state is a part of LiveViews, and no code_change reaches it.",
    "Make sure that its new code takes assigns of the old one: set what is missing in update/2." },
  code_change_unknown = { "warning", "Whether %s has a code_change of its own cannot be told from its code.",
    "Look at its code_change/3 by hand." },
  struct_unknown = { "warning", "Whether the fields of the struct %s change cannot be told from its code.",
    "Compare its defstruct by hand." },
  children_unknown = { "warning", "Which children %s has is decided by %s, too, and no file tells it.",
    "Plan against the node with the release on its disk: the new release says it itself then." },
  children_not_told = { "warning", "The new release was asked for the children of %s, and failed: %s.",
    "Compare its children by hand." },
  funs_held = { "warning", "Funs of %s are kept by %s.",
    "Those in tables and persistent terms get the new code, where it has such funs. Those of a process keep the old code: as "
      .. "long as they are there, the next upgrade of that module is refused." },
  processes_uncounted = { "warning", "%s, so processes of which only child specs tell are not counted.",
    "Look at who is suspended or busy: edeliver-relup NODE stuck." },
  next_vm_failed = { "warning", "The new release did not start beside the node: %s. The plan reads children from literals.",
    "Look at the plan's children and configuration by hand." },
  -- notes
  children_changed = { "note", "The supervisor %s %s.", "Nothing to do: deploy starts and ends them." },
  default_code_change = { "note", "%s changes and keeps the state of its processes as it is.",
    "Check that the new code takes the old state." },
  application_child_started = { "note", "%s starts %s in the new release. It is started by --start-child.", "Nothing to do." },
  application_added = { "note", "The application %s %s is new.", "Nothing to do: it is started." },
  application_removed = { "note", "The application %s %s goes.", "Nothing to do: it is stopped, and its modules removed." },
  appup_found = { "note", "The application %s has an appup for this upgrade. It is used instead of generated instructions.",
    "Nothing to do." },
  runtime_configuration_changed = { "note", "runtime.exs changes. Its values are resolved when the release is deployed.",
    "Nothing to do." },
  nothing_changed = { "note", "The releases have the same content.", "Nothing to do." },
}

local ORDER = { cold = 1, warning = 2, note = 3 }

-- People write modules of Elixir without their prefix; `place` keeps it.
local function shown(text) return (text:gsub("%f[%w]Elixir%.", "")) end

--- Makes a reason.
-- @string code one of those above
-- @string place what it is about: a module, an application, a file
-- @param ... what its words and its next step need, in order; the next step gets the place where it has room for it
-- @treturn table `level`, `code`, `text`, `place`, `next`
function reasons.new(code, place, ...)
  local entry = CODES[code] or error("there is no reason " .. tostring(code), 2)
  return {
    level = entry[1], code = code, place = place, text = shown(entry[2]:format(...)),
    next = entry[3]:find "%%s" and shown(entry[3]:format(place)) or entry[3],
  }
end

--- Every code with its level, words and next step, for docs and specs.
function reasons.all()
  local list = {}
  for code, entry in pairs(CODES) do list[#list + 1] = { code = code, level = entry[1], text = entry[2], next = entry[3] } end
  table.sort(list, function(a, b)
    if a.level ~= b.level then return ORDER[a.level] < ORDER[b.level] end
    return a.code < b.code
  end)
  return list
end

--- Sorts reasons: cold ones first, then warnings, then notes; each kind by place.
function reasons.sort(list)
  for i, reason in ipairs(list) do reason.at = i end
  table.sort(list, function(a, b)
    if a.level ~= b.level then return ORDER[a.level] < ORDER[b.level] end
    if a.code ~= b.code then return a.code < b.code end
    if a.place ~= b.place then return a.place < b.place end
    return a.at < b.at
  end)
  for _, reason in ipairs(list) do reason.at = nil end
  return list
end

return reasons
