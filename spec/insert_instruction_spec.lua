-- What the golden cases leave out: the places where we differ from edeliver on purpose, and the promises of our own.

local insert_instruction = require "edeliver.relup.insert_instruction"
local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"

local function parse(text) return assert(consult.parse(text .. "."))[1] end

describe("insert_instruction", function()
  it("takes one instruction or a list of them, bare lists and instructions values", function()
    assert.are.equal(parse "[a,b]", insert_instruction.append(parse "[a]", parse "b"))
    assert.are.equal(parse "[a,b,c]", insert_instruction.append(parse "[a]", parse "[b,c]"))
    assert.are.equal(parse "[a,b]", insert_instruction.append({ parse "a" }, { parse "b" }))
    local value = { up_instructions = parse "[a]", down_instructions = parse "[]", up_version = "2", other = 1 }
    local changed = insert_instruction.append(value, parse "b")
    assert.are.equal(parse "[a,b]", changed.up_instructions)
    assert.are.equal(parse "[b]", changed.down_instructions)
    assert.are.equal("2", changed.up_version)
    assert.are.equal(1, changed.other)
    assert.are.equal(parse "[a]", value.up_instructions)
  end)

  -- edeliver matches `Timeout` and `ModType` as module names, so that it misses these two forms.
  it("knows the update forms with a timeout and a module type, unlike edeliver", function()
    for _, text in ipairs {
      "{update,m,5000,soft,soft_purge,soft_purge,[]}", "{update,m,static,default,soft,soft_purge,soft_purge,[]}",
    } do
      assert.is_true(insert_instruction.modifies_processes(parse(text)))
      assert.are.equal(parse("[point_of_no_return,x," .. text .. "]"),
        insert_instruction.append_after_point_of_no_return(parse("[point_of_no_return," .. text .. "]"), term.atom "x"))
    end
  end)

  it("knows every other form that modifies something, and none that does not", function()
    local FORMS = {
      modifies_code = {
        "{load_module,m}", "{load_module,m,[]}", "{load_module,m,soft_purge,soft_purge,[]}", "{add_module,m}",
        "{add_module,m,[]}", "{load,{m,soft_purge,soft_purge}}", "{purge,[m]}", "{remove,{m,soft_purge,soft_purge}}",
        "{delete_module,m}", "{delete_module,m,[]}",
      },
      modifies_processes = {
        "{update,m}", "{update,m,supervisor}", "{update,m,soft}", "{update,m,soft,[]}",
        "{update,m,soft,soft_purge,soft_purge,[]}", "{code_change,[{m,x}]}", "{code_change,up,[{m,x}]}", "{start,[m]}",
        "{stop,[m]}",
      },
      modifies_applications = {
        "{add_application,a}", "{add_application,a,load}", "{remove_application,a}", "{restart_application,a}",
        "restart_new_emulator", "restart_emulator",
      },
    }
    for predicate, texts in pairs(FORMS) do
      for _, text in ipairs(texts) do
        for name in pairs(FORMS) do
          assert.are.equal(name == predicate, insert_instruction[name](parse(text)), name .. " of " .. text)
        end
      end
      for _, text in ipairs {
        "point_of_no_return", "{apply,{m,f,[]}}", "{purge,[m,n]}", "{start,[]}", "{stop,[m,n]}", "{suspend,[m]}", "{resume,[m]}",
        "{load_object_code,{a,\"1\",[m]}}", "{code_change,[{m,x},{n,x}]}", "{sync_nodes,id,[]}", "a", "{}", "[]", "1",
      } do
        assert.is_false(insert_instruction[predicate](parse(text)), predicate .. " of " .. text)
      end
    end
  end)
end)
