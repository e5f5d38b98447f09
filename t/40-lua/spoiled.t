# A response in which a filter that Lua runs fails has no end that a client could take for its own, whatever Lua makes of the
# error.

use strict;
use warnings;

use Test::More;

use NginxProcess;
use RawClient;

plan(skip_all => 'needs the Lua module') unless $ENV{TEST_WASM_LUA};
my $root  = $ENV{TEST_WASM_ROOT};
my $nginx = NginxProcess->new('lua-spoiled');
$nginx->configure(
    http => <<"CONF",
lua_package_path '$root/lua/?.lua;;';
init_worker_by_lua_block {
    wasm = require "resty.proxy-wasm"
    local bodies = assert(wasm.load("bodies", "$root/build/guests/rust-bodies.wasm"))
    guard = assert(wasm.on_configure(bodies, "response-body respond-if secret 403 no"))
    clear = function() ngx.header.content_length = nil end
    local faulty = assert(wasm.load("faulty", "$root/build/guests/rust-faulty.wasm"))
    filter = assert(wasm.on_configure(faulty, "name lua; \@request-headers tell"))
}
CONF
    server => <<'CONF',
location / {
    body_filter_by_lua_block { wasm.on_http_response_body(guard) }
    location /headers {
        # What becomes of errors is nothing, as a careless caller has it.
        access_by_lua_block { ngx.ctx.ok = wasm.on_http_request_headers(filter) }
        header_filter_by_lua_block {
            if ngx.ctx.ok then
                local _, err = wasm.on_http_response_headers(filter)
                ngx.header["x-result"] = tostring(err)
            end
        }
        body_filter_by_lua_block { if ngx.ctx.ok then wasm.on_http_response_body(filter) end }
        content_by_lua_block { ngx.print("a good one") }
    }
    location /length/good { return 200 "a good one"; }
    location /length/bad  { return 200 "a secret"; }
    location /chunks/ {
        header_filter_by_lua_block { clear() }
        location /chunks/good { return 200 "a good one"; }
        location /chunks/bad  { return 200 "a secret"; }
        location /chunks/late {
            content_by_lua_block {
                for _, piece in ipairs { "good ", "a secret", " good" } do
                    ngx.print(piece)
                    ngx.flush(true)
                end
            }
        }
    }
}
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# All that comes for some requests, of which the last one ends the connection.
sub all {
    my @paths  = @_;
    my $client = RawClient->new($nginx->port);
    my $last   = pop @paths;
    $client->send((map {"GET $_ HTTP/1.1\r\nHost: a\r\n\r\n"} @paths), "GET $last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    1 while $client->more;
    return $client->{read};
}

for my $kind (qw( length chunks )) {
    like(all("/$kind/good"), qr/\r\n\r\n.*a good one/s, "$kind: what the filter looked at leaves");
    my $came = all("/$kind/bad", "/$kind/good");
    unlike($came, qr/secret/,     "$kind: what it refuses does not");
    unlike($came, qr/^0\r\n\r\n/m, 'nor an end of it');
    unlike($came, qr/a good one/, 'nor another response that would be taken for it');
}
my $came = all('/chunks/late');
like($came, qr/^good \r\n/m, 'what came before has left');
unlike($came, qr/secret|^ good|^0\r\n/m, 'nothing after it');
# Headers that a filter could not look at.
$came = all('/headers');
like($came, qr/^HTTP\/1.1 200 .*x-result: nil.*a good one/s, 'a filter that looks at the headers lets the response go');
my $client = RawClient->new($nginx->port);
$client->send("GET /headers HTTP/1.1\r\nHost: a\r\nx-faulty: \@response-headers abort\r\n\r\nGET /length/good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
1 while $client->more;
like($client->{read}, qr/^HTTP\/1.1 503 .*?x-result: failed to run proxy_on_http_response_headers/s, 'one that traps there does not');
unlike($client->{read} =~ s/HTTP\/1.1 200 .*//sr, qr/a good one/, 'and nothing of its body');
like($client->{read}, qr/HTTP\/1.1 200 .*a good one/s, 'the next one on the connection is whole');
like($nginx->log, qr/wasm plugin "bodies" answered after the headers of the response had gone/, 'and the log says why');
my @bad = grep {/\[(?:alert|emerg)\]|panicked at|exited on signal/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');
done_testing();
