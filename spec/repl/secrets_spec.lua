-- Which lines the history does not keep.

local secrets = require "edeliver.relup.repl.secrets"

describe("a line with a secret", function()
  for _, line in ipairs {
    'node = relup.connect("a@b", { cookie = "abc" })', 'tls = { keyfile = "k.pem", password = "sesame" }',
    ":erlang:set_cookie(node(), abc)", ':application:set_env(myapp, "API_KEY", "x")', ':os:putenv("SECRET_KEY_BASE", "x")',
    'PassPhrase = "x"', ":application:set_env(myapp, url, \"ecto://me:sesame@db/app\")", 'header = "Authorization: Basic eA=="',
    ':os:putenv("DATABASE_URL", "x")',
  } do
    it("is told by its words: " .. line, function() assert.is_true(secrets.may_be_in(line)) end)
  end

  it("is told by a secret that is known", function()
    assert.is_true(secrets.may_be_in('x = "ABCDEFGH"', { "zzzz", "ABCDEFGH" }))
    assert.is_false(secrets.may_be_in('x = "ABCDEFG"', { "ABCDEFGH" }))
    assert.is_false(secrets.may_be_in('x = "ABC"', { "x" }))
  end)

  for _, line in ipairs { "node:processes()", ":lists:seq(1, 3)", "instructions.resume_channels.run(node, 'chat')",
    ":http_uri:parse(\"http://localhost:4000/\")" } do
    it("is not this one: " .. line, function() assert.is_false(secrets.may_be_in(line)) end)
  end
end)
