-- What a rollout does next, by tables: no node is needed.

local schedule = require "edeliver.relup.cluster.schedule"

-- "P R W D F" as nodes: a letter is a state.
local STATES = {
  P = "planned", R = "running", W = "watching", D = "done", A = "already", F = "failed", U = "unhealthy", L = "lost",
  V = "reverting", B = "reverted", X = "stuck", S = "skipped",
}

local function nodes_of(letters)
  local nodes, order = {}, 0
  for letter in letters:gmatch "%a" do
    local node = { name = "n" .. #nodes + 1, state = STATES[letter] }
    if letter ~= "P" and letter ~= "A" then
      order = order + 1
      node.order = order
    end
    nodes[#nodes + 1] = node
  end
  return nodes
end

-- "begin n2 n3", "revert n1", "", and how it ended.
local function said(letters, config, now)
  local acts, ending = schedule.next(nodes_of(letters), config, now or 0)
  local words = {}
  for i, it in ipairs(acts) do words[i] = (i == 1 and it.act .. " " or "") .. it.node.name end
  return table.concat(words, " "), ending
end

describe("a rollout's schedule", function()
  for _, case in ipairs {
    { "one after the other", "PPP", {}, "begin n1" },
    { "waits for the one that runs", "RPP", {}, "" },
    { "waits until it is healthy", "WPP", {}, "" },
    { "goes to the next", "DPP", {}, "begin n2" },
    { "is done", "DDD", {}, "", "done" },
    { "is done where all had it", "AAA", {}, "", "done" },
    { "passes over those that had it", "APP", {}, "begin n2" },
    { "as many as may be parallel", "PPPPP", { max_parallel = 2 }, "begin n1 n2" },
    { "as many as there is room for", "RPPPP", { max_parallel = 2 }, "begin n2" },
    { "by per cent", "PPPPPPPP", { max_parallel = "25%" }, "begin n1 n2" },
    { "at least one, by per cent", "PPP", { max_parallel = "10%" }, "begin n1" },
    { "all canaries at once, and nobody else", "PPPPP", { canary = 2, max_parallel = 3 }, "begin n1 n2" },
    { "nobody while canaries are looked at", "WDPPP", { canary = 2, max_parallel = 3 }, "" },
    { "a batch when the canaries are done", "DDPPP", { canary = 2, max_parallel = 3 }, "begin n3 n4 n5" },
    { "nobody while it is paused", "DPP", { paused = true }, "" },
    { "not before its time", "DPP", { stagger = 100, last_begun = 50 }, "" },
    { "those in the middle end, when it is aborted", "RPP", { aborted = true }, "" },
    { "nobody else then", "DPP", { aborted = true }, "", "aborted" },
    { "stops where one failed", "DFP", {}, "", "failed" },
    { "waits for others where one failed", "RFP", { max_parallel = 2 }, "" },
    { "stops where one is lost", "DLP", {}, "", "failed" },
    { "does not stop where that is asked", "DLP", { keep_going = true }, "begin n3" },
    { "has failed all the same", "DLD", { keep_going = true }, "", "failed" },
    { "goes back, the last first", "DDUP", { auto_revert = true }, "revert n3" },
    { "goes back one by one", "DVBP", { auto_revert = true }, "" },
    { "goes back, the next", "DBBP", { auto_revert = true }, "revert n1" },
    { "went back", "BBBP", { auto_revert = true }, "", "reverted" },
    { "has not gone back where one is lost", "BLP", { auto_revert = true }, "", "failed" },
    { "waits for one that runs before it goes back", "RFP", { auto_revert = true, max_parallel = 2 }, "" },
    { "goes back while another is watched", "WFP", { auto_revert = true, max_parallel = 2 }, "revert n1" },
    { "does not say that it went back where one could not", "XBBP", { auto_revert = true }, "", "failed" },
    { "goes back where somebody asks", "DDP", { reverting = true }, "revert n2" },
  } do
    it(case[1], function()
      local acts, ending = said(case[2], case[3], 100)
      assert.same({ case[4], case[5] }, { acts, ending })
    end)
  end
end)
