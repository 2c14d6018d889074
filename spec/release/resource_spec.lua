-- The terms that describe a release: what is read of them, and that nothing else is ever taken for them.

local resource = require "edeliver.relup.release.resource"

local REL = '{release,{"x","1"},{erts,"13"},[{kernel,"8"},{sasl,"4",none},{shop,"1",[inc]},{stock,"2",load,[inc]}]}.'

describe("a release's terms", function()
  local function refused(read, text)
    local value, message, code = read(text)
    assert.is_nil(value, text)
    assert.equal("syntax", code, text)
    assert.is_string(message)
  end

  it(".rel: applications in each form", function()
    local rel = assert(resource.release(REL))
    assert.same({ "x", "1", "13" }, { rel.name, rel.version, rel.erts })
    local forms = {}
    for i, it in ipairs(rel.applications) do forms[i] = table.concat({ it.name, it.version, it.start_type }, " ") end
    assert.same({ "kernel 8 permanent", "sasl 4 none", "shop 1 permanent", "stock 2 load" }, forms)
  end)

  it(".rel: everything else is refused, names above all that lead elsewhere", function()
    for _, text in ipairs {
      "", "x.", "{release,1,2,3}.", REL .. REL, '{release,{"x","1"},{erts,"13"},x}.', '{release,{"x","1"},{erts,"13"},[x]}.',
      '{release,{"x","1"},{erts,"13"},[{kernel,"8",sometimes}]}.', '{release,{"../x","1"},{erts,"13"},[]}.',
      '{release,{"x",".."},{erts,"13"},[]}.', '{release,{"x","1"},{erts,"1/3"},[]}.',
      '{release,{"x","1"},{erts,"13"},[{\'../k\',"8"}]}.',
      '{release,{"x","1"},{erts,"13"},[{kernel,"8/../9"}]}.', '{release,{"x",1},{erts,"13"},[]}.',
      '{release,{"x","1"},{erts,"13"},"abc"}.',
    } do refused(resource.release, text) end
  end)

  it(".app: what is known of it, and what is not one", function()
    local app = assert(resource.application
      [[{application,shop,[{vsn,"1"},{modules,[a,'B']},{mod,{c,[]}},{applications,[kernel]},{x,y}]}.]])
    assert.same({ "shop", "1", "c" }, { app.name, app.version, app.mod })
    assert.same({ "a", "B" }, app.modules)
    for _, text in ipairs {
      "", "{application,shop}.", "{application,shop,[]}.", "{application,shop,[x]}.", '{application,"s",[]}.',
      "{application,shop,[{vsn,1}]}.", '{application,shop,[{vsn,"1"},{modules,x}]}.',
      '{application,shop,[{vsn,"1"},{modules,[1]}]}.',
    } do refused(resource.application, text) end
  end)

  it(".appup: entries, and patterns", function()
    local appup = assert(resource.appup '{"2",[{"1",[x]},{<<"1.*">>,[]}],[]}.')
    assert.same({ "1", false, 1 }, { appup.up[1].version, appup.up[1].is_pattern, #appup.up[1].instructions })
    assert.is_true(appup.up[2].is_pattern)
    for _, text in ipairs { "", '{"2",[],[],[]}.', '{"2",x,[]}.', '{"2",[{"1"}],[]}.', '{"2",[{"1",x}],[]}.' } do
      refused(resource.appup, text)
    end
  end)

  it("sys.config: values by application and key, files that it includes, providers", function()
    local values, files = resource.configuration [[[{shop,[{a,1},{'B',"x"}]},"other.config",{shop,[{a,2}]}].]]
    assert.same({ a = 2, ["'B'"] = "x" }, { a = values.shop.a, ["'B'"] = tostring(values.shop["'B'"]):gsub('"', "") })
    assert.same({ "other.config" }, files)
    assert.same({ "Elixir.P" }, (resource.providers(assert(resource.configuration
      "[{elixir,[{config_provider_init,#{providers => [{'Elixir.P',x}]}}]}]."))))
    assert.same({}, (resource.providers(assert(resource.configuration "[{elixir,[{config_provider_init,#{}}]}]."))))
    for _, text in ipairs { "", "x.", "[x].", "[{shop,x}].", "[{shop,[x]}].", "[{1,[]}]." } do
      refused(resource.configuration, text)
    end
  end)

  it("a boot script: no other term, and no damaged bytes", function()
    for _, bytes in ipairs { "", "\131", "\131a\1", "\131h\3d\0\6scripta\1", "\131P\255\255\255\255x" } do
      assert.is_nil((resource.boot(bytes)))
    end
  end)
end)
