-- What a swap came to, in words.

local consult = require "edeliver.relup.consult"
local swap_words = require "edeliver.relup.step.swap_words"
local term = require "edeliver.relup.term"

local function parsed(text) return assert(consult.parse(text .. "."))[1] end

local function refused(text, fields)
  local report = { outcome = "refused", reason = parsed(text), restarted = {} }
  for name, value in pairs(fields or {}) do report[name] = value end
  return swap_words.refusal(report, "n@h")
end

describe("the words of a swap", function()
  it("say why it was refused, what has changed, and what to do", function()
    assert.equal("The swap was refused: code could not be loaded: m (not_purged). Nothing was changed on n@h",
      refused "{not_loaded,[{m,not_purged}]}")
    assert.equal("The swap was refused: the on_load of m failed (on_load_failure): a NIF library that cannot be upgraded needs a "
      .. "restart. Nothing was changed on n@h", refused "{on_load,[{m,on_load_failure}]}")
    assert.equal("The swap was refused: the application mails, which is added, did not start ({bad_return,{mails,no}}). Nothing "
      .. "was changed on n@h", refused "{not_started,mails,{bad_return,{mails,no}}}")
    assert.equal("The swap failed: badarg. `edeliver-relup n@h status` shows what runs there",
      refused("{error,badarg}", { outcome = "broken" }))
  end)

  it("say what was done, and what was not", function()
    local words = swap_words.done {
      suspend = 1, load = 2, change = 3, resume = 4, stand_still = 10, processes = 1, restarted = {}, started = 1, ended = 0,
      unchanged = {}, not_started = {}, not_loaded = { { module = "m", reason = term.atom "on_load_failure" } },
    }
    assert.equal("swapped in 10.0 ms (suspend 1.0, load 2.0, change 3.0, resume 4.0), 1 process; 1 child started, 0 ended; m was "
      .. "not loaded, and its old code stays: on_load_failure", words)
  end)
end)
