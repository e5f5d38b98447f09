# An upstream whose balancer is none of nginx's: filters see the servers of the configuration, and the balancer chooses. Filters
# that Lua runs see and choose as those of nginx do.

use strict;
use warnings;

use Test::More;

use NginxProcess;

plan(skip_all => 'needs the Lua module') unless $ENV{TEST_WASM_LUA};
my $root  = $ENV{TEST_WASM_ROOT};
my $nginx = NginxProcess->new('lua-balancer', workers => 1);
my ($one, $two) = map {"unix:$nginx->{prefix}/$_.sock"} qw( one two );
my @shown = map { s/^unix://r } $one, $two;
$nginx->configure(
    main => "wasm { module balancer $root/build/guests/go-balancer.wasm; }",
    http => <<"CONF",
lua_package_path '$root/lua/?.lua;;';
upstream by_lua {
    server 127.0.0.1:1;
    server 127.0.0.2:1 down;
    server 127.0.0.3:1 backup;
    balancer_by_lua_block { assert(require("ngx.balancer").set_current_peer("$one")) }
}
upstream round { server $one; server $two; }
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("lua", "$root/build/guests/go-balancer.wasm"))
    filter = assert(wasm.on_configure(plugin, "none"))
}
server { listen $one; return 200 "one\\n"; }
server { listen $two; return 200 "two\\n"; }
CONF
    server => <<'CONF',
location /by_lua { proxy_wasm balancer; proxy_pass http://by_lua; }
location /lua {
    access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    proxy_pass http://round;
}
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");
sub ask { my ($path, $statements) = @_; return $nginx->get($path, { 'x-balancer' => $statements })->{content} }

is(ask('/by_lua', 'hosts; answer'),
    'hosts: ' . join(' ', map {"127.0.0.$_->[0]:1={\"health_status\":\"$_->[1]\"}"} [1, 'Healthy'], [2, 'Unhealthy'], [3, 'Degraded']) . "\n",
    'hosts of the configuration')
    for 1, 2;
is(ask('/by_lua', 'choose 127.0.0.1:1'), "one\n", 'the balancer chooses') for 1, 2;
like($nginx->log, qr/\[warn\] .*wasm: the upstream host "127\.0\.0\.1:1" of a filter is not asked first: the balancer of "by_lua" is not one of nginx/,
    'and the log says so');

is(ask('/lua', 'hosts; answer'), 'hosts: ' . join(' ', map {qq[$_={"health_status":"Healthy"}]} @shown) . "\n", 'hosts for a filter that Lua runs');
is(ask('/lua', "choose $shown[1]"), "two\n", 'its choice') for 1 .. 3;
is(ask('/lua', "choose $shown[0]"), "one\n", 'its other choice') for 1 .. 3;
unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'nothing worse in the log');
done_testing();
