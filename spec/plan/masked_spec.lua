-- What of a configuration is shown to people: secrets are not, however deep they lie.

local masked = require "edeliver.relup.plan.masked"
local term = require "edeliver.relup.term"

local atom, tuple, list = term.atom, term.tuple, term.list

describe("masked values", function()
  it("hide what a key calls a secret, at any depth", function()
    assert.equal("********", masked.format("shop.secret_key_base", "abc"))
    assert.equal("[{port,80},{secret_key_base,********}]", masked.format("shop.endpoint",
      list { tuple { atom "port", 80 }, tuple { atom "secret_key_base", "abc" } }))
    assert.equal('#{deep => [{password,********},{"x",1}]}', masked.format("shop.x", term.map {
      atom "deep", list { tuple { atom "password", term.charlist "abc" }, tuple { term.charlist "x", 1 } } }))
  end)

  it("hide passwords in URLs", function()
    assert.equal('<<"ecto://user:********@db/shop">>', masked.format("shop.url", "ecto://user:hunter2@db/shop"))
  end)

  it("show everything else as it is", function()
    assert.equal('[{pool,10},{keep,<<"yes">>}]', masked.format("shop.repo",
      list { tuple { atom "pool", 10 }, tuple { atom "keep", "yes" } }))
    assert.equal("[]", masked.format("shop.a", list {}))
  end)
end)
