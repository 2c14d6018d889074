-- The 240 answers that edeliver itself gave, each asked of our functions.

local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"
local insert_instruction = require "edeliver.relup.insert_instruction"
local shift_instruction = require "edeliver.relup.shift_instruction"

local function read_cases()
  local here = debug.getinfo(1, "S").source:match "^@(.*)[^/]*$":gsub("[^/]*$", "")
  local file <close> = assert(io.open(here .. "edeliver.terms", "rb"))
  return assert(consult.parse(file:read "a"))
end

-- "resume_channels" for 'Elixir.Edeliver.Relup.Instructions.ResumeChannels'
local function snake_case(module)
  return (module.name:match "[^.]+$":gsub("%f[%u]%u", function(letter) return "_" .. letter:lower() end):gsub("^_", ""))
end

local function from_term(value)
  local tag = term.kind(value) == "tuple" and term.text(value[1])
  if tag == "instructions" then
    return {
      up_instructions = value[2], down_instructions = value[3], up_version = value[4], down_version = value[5],
      changed_modules = value[6],
    }
  elseif tag == "config" then
    return { name = value[2], runtime = "edeliver" }
  end
  return value
end

local function to_term(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil or not value.up_instructions then return value end
  return term.tuple {
    term.atom "instructions", value.up_instructions, value.down_instructions, value.up_version, value.down_version,
    value.changed_modules,
  }
end

local function find(kind, name)
  if kind == "insert" then return insert_instruction[(name.name:gsub("%?$", ""))] end
  if kind == "shift" then return shift_instruction[name.name] end
  if kind == "modification" then return require("edeliver.relup." .. snake_case(name)).modify_relup end
  return require("edeliver.relup.instructions." .. snake_case(name)).modify_relup
end

describe("edeliver's answers", function()
  local cases = read_cases()

  it("are all there", function() assert.are.equal(240, #cases) end)

  for number, case in ipairs(cases) do
    local kind, name = term.text(case[1]), case[2]
    it(("%d: %s %s"):format(number, kind, name.name), function()
      local arguments = {}
      for i = 1, #case[3] do arguments[i] = from_term(case[3][i]) end
      if name.name:find "StartSection$" then arguments[3] = term.text(arguments[3]) end
      local before = term.format(to_term(arguments[1]))
      local result = to_term(find(kind, name)(table.unpack(arguments)))
      assert.are.equal(term.format(case[4]), term.format(result))
      assert.is_true(term.equal(case[4], result))
      assert.are.equal(before, term.format(to_term(arguments[1])), "what was handed in has changed")
    end)
  end
end)
