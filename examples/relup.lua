-- Steps of your own around a deploy: edeliver-relup myapp@web1 deploy PATH --steps relup.lua
--
-- At the top of a release's folder a file of this name is found by itself.

return {
  before_swap = function(_, _, ctx) ctx:log("info", "about to swap"); return true end,
  after_swap = {
    { name = "warm_cache", run = function(node) return node:call("Elixir.Shop.Cache", "warm", {}) and "the cache is warm" end },
  },
  before_swap_down = nil, -- the same for `rollback`, which takes the file by --steps
  after_swap_down = nil,
}
