-- Proxy-Wasm filters from Lua: load a module, configure it, run its callbacks on the current request. A drop-in for the
-- library of this name that Apache APISIX uses; the functions behind it are in ngx_module/src/lua/. Documentation:
-- docs/lua.md.

local base = require "resty.core.base"
local ffi = require "ffi"
local semaphore = require "ngx.semaphore"

local C = ffi.C
local get_phase = ngx.get_phase
local get_request = base.get_request
local io_open = io.open
local type = type

ffi.cdef [[
typedef struct ngx_http_wasm_plugin_s ngx_http_wasm_plugin_t;
typedef struct ngx_http_wasm_plugin_ctx_s ngx_http_wasm_plugin_ctx_t;

ngx_http_wasm_plugin_t *ngx_http_wasm_load_plugin(const unsigned char *name, size_t name_len, const unsigned char *code,
                                                  size_t size);
void ngx_http_wasm_unload_plugin(ngx_http_wasm_plugin_t *plugin);
ngx_http_wasm_plugin_ctx_t *ngx_http_wasm_on_configure(ngx_http_wasm_plugin_t *plugin, const unsigned char *conf,
                                                       size_t size);
void ngx_http_wasm_delete_plugin_ctx(ngx_http_wasm_plugin_ctx_t *plugin_ctx);
intptr_t ngx_http_wasm_on_http(ngx_http_wasm_plugin_ctx_t *plugin_ctx, ngx_http_request_t *r, int kind);
intptr_t ngx_http_wasm_on_body(ngx_http_wasm_plugin_ctx_t *plugin_ctx, ngx_http_request_t *r, int is_response,
                               const unsigned char *body, size_t size, int is_end, ngx_str_t *changed);
intptr_t ngx_http_wasm_fetch_local_body(ngx_http_request_t *r, ngx_str_t *body);
void *ngx_http_wasm_pause(ngx_http_wasm_plugin_ctx_t *plugin_ctx, ngx_http_request_t *r, void *semaphore,
                          int (*post)(void *, int), uint32_t *timeout);
void ngx_http_wasm_unpause(void *pause);
intptr_t ngx_http_wasm_go_on(ngx_http_wasm_plugin_ctx_t *plugin_ctx, ngx_http_request_t *r, int is_timeout,
                             ngx_str_t *changed, ngx_str_t *failed);
]]

local REQUEST_HEADERS = 1
local RESPONSE_HEADERS = 4
local OK = 0
local ANSWER = 1
local CHANGED = 2
local HELD = 3
local PAUSED = 4
local ERROR = -1

-- The module ends waits with it.
local post = ffi.cast("int (*)(void *, int)", C.ngx_http_lua_ffi_sema_post)

local _M = { _VERSION = "0.1.0" }

-- What C gets is what it takes it for: a plugin for a context, or a pointer to something else, would end the worker.
local plugin_type = ffi.typeof("ngx_http_wasm_plugin_t *")
local plugin_ctx_type = ffi.typeof("ngx_http_wasm_plugin_ctx_t *")

local function is_a(expected, value)
    return type(value) == "cdata" and ffi.istype(expected, value) and value ~= nil
end

-- Loads the module in the file `path`. The result is collected when nothing refers to it; or nil and the reason.
function _M.load(name, path)
    local file, err = io_open(path, "rb")
    if not file then
        return nil, err
    end
    local code
    code, err = file:read("*a")
    file:close()
    if not code then
        return nil, err
    end

    local plugin = C.ngx_http_wasm_load_plugin(name, #name, code, #code)
    if plugin == nil then
        return nil, "failed to load wasm plugin"
    end
    return ffi.gc(plugin, C.ngx_http_wasm_unload_plugin)
end

-- Makes a plugin context with this configuration, a string that is not empty.
function _M.on_configure(plugin, conf)
    if not is_a(plugin_type, plugin) then
        return nil, "bad plugin"
    end
    if type(conf) ~= "string" or conf == "" then
        return nil, "bad conf"
    end
    local plugin_ctx = C.ngx_http_wasm_on_configure(plugin, conf, #conf)
    if plugin_ctx == nil then
        return nil, "failed to run proxy_on_configure"
    end
    return ffi.gc(plugin_ctx, C.ngx_http_wasm_delete_plugin_ctx)
end

-- Where there is a request of a client. Timers and init_worker_by_lua* have one too, made up by the Lua module.
local REQUEST_PHASES = { server_rewrite = true, rewrite = true, access = true, content = true }
local RESPONSE_PHASES = { header_filter = true }
local BODY_PHASES = { body_filter = true }

local function current_request(plugin_ctx, phases)
    if not is_a(plugin_ctx_type, plugin_ctx) then
        return nil, "bad plugin ctx"
    end
    local r = get_request()
    if not r or not phases[get_phase()] then
        return nil, "bad request"
    end
    return r
end

-- Sends the answer that the filter gave, and ends the request.
local function answer(r)
    local text = ffi.new("ngx_str_t[1]")
    if C.ngx_http_wasm_fetch_local_body(r, text) ~= OK then
        return nil, "failed to send the local response"
    end
    local body = ffi.string(text[0].data, text[0].len)
    -- A refusal without a body gets nginx's page, or that of `error_page`, as in the other library.
    if body == "" and ngx.status >= 300 then
        return ngx.exit(ngx.status)
    end
    ngx.send_headers()
    if body ~= "" and ngx.req.get_method() ~= "HEAD" then
        ngx.print(body)
    end
    return ngx.exit(ngx.status)
end

-- Waits until the filter goes on with the request that it has paused, while other requests and timers have their
-- turn. The result is what the callback would have given without the pause; or ERROR, and the reason if it is known.
local function wait(plugin_ctx, r, changed)
    local sem, err = semaphore.new()
    if not sem then
        return ERROR, err
    end
    local timeout = ffi.new("uint32_t[1]")
    local pause = C.ngx_http_wasm_pause(plugin_ctx, r, sem.sem, post, timeout)
    if pause == nil then
        return ERROR
    end
    -- The module posts to the semaphore as long as there is the pause, which keeps it from being collected: also when
    -- the request, and this coroutine with it, ends before the wait does.
    pause = ffi.gc(pause, function(dead)
        C.ngx_http_wasm_unpause(dead)
        sem = nil
    end)

    local failed = ffi.new("ngx_str_t[1]")
    local rc
    repeat
        local ok, why = sem:wait(timeout[0] / 1000)
        if not ok and why ~= "timeout" then
            err = why
            break
        end
        rc = C.ngx_http_wasm_go_on(plugin_ctx, r, ok and 0 or 1, changed, failed)
    until rc ~= PAUSED
    C.ngx_http_wasm_unpause(ffi.gc(pause, nil))

    if failed[0].len > 0 then
        err = "failed to run " .. ffi.string(failed[0].data, failed[0].len)
    end
    return rc or ERROR, err
end

-- Runs proxy_on_request_headers, in rewrite_by_lua* or access_by_lua*. A filter that pauses is waited for, here and
-- below.
function _M.on_http_request_headers(plugin_ctx)
    local r, err = current_request(plugin_ctx, REQUEST_PHASES)
    if not r then
        return nil, err
    end
    local rc = C.ngx_http_wasm_on_http(plugin_ctx, r, REQUEST_HEADERS)
    if rc == PAUSED then
        rc, err = wait(plugin_ctx, r, ffi.new("ngx_str_t[1]"))
    end
    if rc == ANSWER then
        return answer(r)
    end
    if rc ~= OK then
        return nil, err or "failed to run proxy_on_http_request_headers"
    end
    return true
end

-- Runs proxy_on_response_headers, in header_filter_by_lua*. An answer of the filter takes the response's place.
function _M.on_http_response_headers(plugin_ctx)
    local r, err = current_request(plugin_ctx, RESPONSE_PHASES)
    if not r then
        return nil, err
    end
    if C.ngx_http_wasm_on_http(plugin_ctx, r, RESPONSE_HEADERS) ~= OK then
        return nil, "failed to run proxy_on_http_response_headers"
    end
    return true
end

-- Runs proxy_on_request_body, in rewrite_by_lua* or access_by_lua*, on `body`; `end_of_body` is false when more
-- follows. When the filter has changed the body, the second result is the new one, which has become the request's if
-- it is whole; when the filter waits for more, it is "".
function _M.on_http_request_body(plugin_ctx, body, end_of_body)
    local r, err = current_request(plugin_ctx, REQUEST_PHASES)
    if not r then
        return nil, err
    end
    body = body or ""
    if type(body) ~= "string" then
        return nil, "bad body"
    end
    local is_end = end_of_body ~= false and end_of_body ~= 0
    local changed = ffi.new("ngx_str_t[1]")
    local rc = C.ngx_http_wasm_on_body(plugin_ctx, r, 0, body, #body, is_end and 1 or 0, changed)
    if rc == PAUSED then
        rc, err = wait(plugin_ctx, r, changed)
    end
    if rc == ANSWER then
        return answer(r)
    end
    if rc == CHANGED then
        local now = ffi.string(changed[0].data, changed[0].len)
        if is_end then
            ngx.req.read_body()
            ngx.req.set_body_data(now)
        end
        return true, now
    end
    if rc == HELD then
        return true, ""
    end
    if rc ~= OK then
        return nil, err or "failed to run proxy_on_http_request_body"
    end
    return true
end

-- Runs proxy_on_response_body, in body_filter_by_lua*, on ngx.arg. What the filter changes or holds back is changed or
-- held back there. A filter that changes the length needs `ngx.header.content_length = nil` in header_filter_by_lua*.
function _M.on_http_response_body(plugin_ctx)
    local r, err = current_request(plugin_ctx, BODY_PHASES)
    if not r then
        return nil, err
    end
    local body, is_end = ngx.arg[1] or "", ngx.arg[2]
    if body == "" and not is_end then
        return true
    end
    local changed = ffi.new("ngx_str_t[1]")
    local rc = C.ngx_http_wasm_on_body(plugin_ctx, r, 1, body, #body, is_end and 1 or 0, changed)
    if rc == CHANGED then
        ngx.arg[1] = ffi.string(changed[0].data, changed[0].len)
    elseif rc == HELD then
        ngx.arg[1] = nil
    elseif rc ~= OK then
        -- Nothing leaves that the filter could not look at.
        ngx.arg[1] = nil
        return nil, "failed to run proxy_on_http_response_body"
    end
    return true
end

return _M
