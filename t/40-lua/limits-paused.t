# Filters that Lua runs, and coroutines that wait for them while somebody else's request makes the VM fail: under each policy
# they go on, with an error or without the filter, and none waits in vain.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;

plan(skip_all => 'needs lua') unless $ENV{TEST_WASM_LUA};

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('lua-limits-paused');

my %policy = (closed => 'closed', open => 'open', reload => 'reload', 'reload-open' => 'reload open');
my $load   = join '', map {
    qq{ filters["$_"] = assert(wasm.on_configure(assert(wasm.load("$_", "$root/build/guests/rust-faulty.wasm")), "name $_; \@request-headers tell"))\n}
} sort keys %policy;
$nginx->configure(
    http => join('', map {"proxy_wasm_on_error filter=$_ $policy{$_};\n"} sort keys %policy) . "
        wasm_vm wasmtime;
        wasm_pause_timeout 10m;
        lua_package_path '$root/lua/?.lua;;';
        init_worker_by_lua_block {
            local wasm = require 'resty.proxy-wasm'
            filters = {}
            $load
        }",
    server => q{
        location / {
            access_by_lua_block {
                local name = ngx.var.uri:sub(2)
                local ok, err = require "resty.proxy-wasm".on_http_request_headers(filters[name])
                ngx.ctx.result = tostring(ok) .. ", " .. tostring(err)
            }
            content_by_lua_block { ngx.say(ngx.ctx.result) }
        }},
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

for my $policy (sort keys %policy) {
    my @clients;
    for my $n (1 .. 3) {
        my $client = RawClient->new($nginx->port);
        $client->send("GET /$policy HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-faulty: log info $policy waits $n; park\r\n\r\n");
        $nginx->wait_for('a coroutine that waits', sub { $nginx->log =~ /\Q$policy waits $n\E/ });
        push @clients, $client;
    }
    my $failed = $nginx->get("/$policy", { 'x-faulty' => 'abort' })->{content};
    if ($policy eq 'open') { is($failed, "true, nil\n", "$policy: a call that fails goes on") }
    else                   { is($failed, "nil, failed to run proxy_on_http_request_headers\n", "$policy: a call that fails") }
    for my $client (@clients) {
        my $content = $client->response->{body};
        if ($policy =~ /open/) { is($content, "true, nil\n", "$policy: a coroutine that waited goes on") }
        else                   { like($content, qr/^nil, ./, "$policy: a coroutine that waited gets an error") }
    }
    my $next = $nginx->get("/$policy")->{content};
    if ($policy eq 'closed') { like($next, qr/^nil, ./, "$policy: the next call") }
    else                     { is($next, "true, nil\n", "$policy: the next call") }
}
is(($nginx->workers)[0], $worker, 'the worker is the one that it was');
my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "[\w-]+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
