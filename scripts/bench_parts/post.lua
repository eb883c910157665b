-- wrk POSTs one body again and again: wrk ... -- BODY CONTENT-TYPE ACCEPT [distinct]
-- With "distinct" it is a JPEG, and another file of the same picture every time: by a comment.
init = function(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  wrk.headers["Content-Type"] = args[2]
  wrk.headers["Accept"] = args[3]
  if args[4] == "distinct" then
    local start, rest, began, count = wrk.body:sub(1, 2), wrk.body:sub(3), os.time(), 0
    request = function()
      count = count + 1
      local comment = "\255\254\0\18" .. string.format("%08x%08x", began, count)
      return wrk.format(nil, nil, nil, start .. comment .. rest)
    end
  end
end

done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answers": %d, "microseconds": %d, "refused": %d, "lost": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
