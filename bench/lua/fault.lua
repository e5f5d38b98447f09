-- Fault injection in Lua: answers a share of the requests, as the guest `fault` does.

local random = math.random

local _M = {}

function _M.run(abort)
    if abort.percentage and random(0, 99) >= abort.percentage then
        return
    end
    ngx.status = abort.http_status
    ngx.header.content_length = #abort.body
    ngx.print(abort.body)
    return ngx.exit(abort.http_status)
end

return _M
