-- Checks a JSON web token (HS256) in the header Authorization, with the HMAC of the OpenSSL that nginx has.

local cjson = require "cjson.safe"
local ffi = require "ffi"

local C = ffi.C

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_size, const unsigned char *data, size_t size,
                    unsigned char *out, unsigned int *out_size);
int CRYPTO_memcmp(const void *one, const void *two, size_t size);
]]

local SUM_SIZE = 32
local sum = ffi.new("unsigned char[?]", SUM_SIZE)

local _M = {}

local function decoded(part)
    part = part:gsub("-", "+"):gsub("_", "/")
    return ngx.decode_base64(part .. ("="):rep(-#part % 4))
end

-- The name of who has the token; nil when it is not a good one.
local function consumer_of(authorization, issuer, secret)
    local signed, signature = authorization:match("^Bearer (%S+)%.([^%s.]+)$")
    local head, claims = (signed or ""):match("^([^.]+)%.([^.]+)$")
    if not head then
        return nil
    end
    head, claims = cjson.decode(decoded(head) or ""), cjson.decode(decoded(claims) or "")
    signature = decoded(signature)
    if not head or not claims or not signature or head.alg ~= "HS256" or #signature ~= SUM_SIZE then
        return nil
    end
    C.HMAC(C.EVP_sha256(), secret, #secret, signed, #signed, sum, nil)
    if C.CRYPTO_memcmp(sum, signature, SUM_SIZE) ~= 0 then
        return nil
    end
    return claims.iss == issuer and (tonumber(claims.exp) or 0) > ngx.time() and claims.sub or nil
end

-- Lets the request pass, with the name in a header; or answers 401.
function _M.check(issuer, secret)
    local consumer = consumer_of(ngx.var.http_authorization or "", issuer, secret)
    if not consumer then
        return ngx.exit(401)
    end
    ngx.req.set_header("x-mse-consumer", consumer)
end

return _M
