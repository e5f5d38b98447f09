# proxy_wasm_env: the environment that guests in Rust and Go find by WASI, in the master, in workers, for each filter its own; what of
# nginx's environment it takes, and what nginx -t says of mistakes (others: t/10-directives/mistakes.t).

use strict;
use warnings;

use NginxProcess;
use Test::More;

$ENV{FROM_OUTSIDE} = 'a value of nginx';
$ENV{NOT_NAMED}    = 'nobody has asked for it';
delete $ENV{NOT_THERE};

my $nginx = NginxProcess->new('environment');
my $guests = "$ENV{TEST_WASM_ROOT}/build/guests";
my $main = "wasm { module rust $guests/rust-files.wasm; module go $guests/go-files.wasm; module probe $guests/rust-probe.wasm; }";

$nginx->configure(
    main => $main,
    http => "proxy_wasm_env LEVEL http; proxy_wasm_env filter=go LEVEL 'http, go';",
    server => <<'CONF',
    location /rust {
        proxy_wasm_env PLAIN value; proxy_wasm_env EMPTY ''; proxy_wasm_env FROM_OUTSIDE; proxy_wasm_env SIGN a=b; proxy_wasm_env DOLLAR $uri;
        proxy_wasm rust 'env PLAIN; env FROM_OUTSIDE';
    }
    location /go {
        proxy_wasm_env PLAIN value; proxy_wasm_env EMPTY ''; proxy_wasm_env FROM_OUTSIDE; proxy_wasm_env SIGN a=b; proxy_wasm_env DOLLAR $uri;
        proxy_wasm go 'env PLAIN; env FROM_OUTSIDE';
    }
    location /all      { proxy_wasm_env B 2; proxy_wasm_env A 1; proxy_wasm probe 'env; report'; return 200; }
    location /outer/rust { proxy_wasm rust; }
    location /outer/go   { proxy_wasm go; }
    location /fresh    { proxy_wasm_env A fresh; proxy_wasm_isolation request fresh; proxy_wasm probe 'env; report'; return 200; }
    location /request  { proxy_wasm_env A request; proxy_wasm_isolation request; proxy_wasm probe 'env; report'; return 200; }
    location /not-there { proxy_wasm_env NOT_THERE; proxy_wasm_env THERE x; proxy_wasm probe 'env; report'; return 200; }
CONF
);
ok($nginx->start, 'nginx starts') or diag $nginx->{output};

my $statements = join '; ', map {"env $_"} qw( PLAIN EMPTY FROM_OUTSIDE SIGN DOLLAR NOT_NAMED );
for my $language (qw( rust go )) {
    my $missing = $language eq 'go' ? 'error not set' : 'error environment variable not found';
    is($nginx->get("/$language", { 'x-files' => $statements })->{content},
        "env: value\nenv: \nenv: a value of nginx\nenv: a=b\nenv: \$uri\nenv: $missing\n",
        "$language: constant values, a value of nginx's environment, and nothing else of that");
    is($nginx->get("/$language")->{content}, "env: value\nenv: a value of nginx\n", "$language: it is there at the start");
}
is($nginx->get('/outer/rust', { 'x-files' => 'env LEVEL' })->{content}, "env: http\n", 'what an outer level says');
is($nginx->get('/outer/go', { 'x-files' => 'env LEVEL' })->{content}, "env: http, go\n", 'what is said for the name comes first');
is($nginx->get('/all')->{content}, "env -> 0 B=2,A=1\n", 'a level that says something hides the outer ones; the order is that of the file');
is($nginx->get('/fresh')->{content}, "env -> 0 A=fresh\n", 'an instance for each request has it');
is($nginx->get('/request')->{content}, "env -> 0 A=request\n", "instances that are put back have it, time $_") for 1, 2;
is($nginx->get('/not-there')->{content}, "env -> 0 THERE=x\n", 'what nginx does not have is not there');
like($nginx->log, qr{\[warn\] \d+#\d+: nginx's environment has no "NOT_THERE", so filters get none of "proxy_wasm_env" in \S+/nginx\.conf:\d+$}m,
    'and nginx says so');

# Filters of one module with different environments, in one chain, and in one worker.
$nginx->configure(main => $main, server => <<'CONF');
    proxy_wasm_env WHO outer;
    proxy_wasm probe '@configure env; env';
    location / {
        proxy_wasm inherit;
        proxy_wasm_env WHO inner;
        proxy_wasm probe '@configure env; env; report';
        return 200;
    }
CONF
my $pid = $nginx->pid;
my ($before) = $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('another worker', sub { my @now = $nginx->workers; @now == 1 && $now[0] != $before });
is($nginx->get('/')->{content}, "env -> 0 WHO=inner\n", 'the inner filter has its own environment');
my ($worker) = $nginx->workers;
my @said = grep {/WHO/} $nginx->said('probe', $worker);
# Of both when they start, and of the one that does not answer the request.
is_deeply([sort @said], [map {"probe: env -> 0 WHO=$_"} qw( inner outer outer )], 'and the inherited one that of its level');

# Mistakes.
sub refused {
    my ($message, $directives) = @_;
    $nginx->configure(main => $main, server => "location / { proxy_wasm probe; $directives }");
    my ($ok, $output) = $nginx->test;
    ok(!$ok, "refused: $directives");
    return like($output, $message, 'and why');
}
my $takes = 'it takes the name of a variable, without "=", and perhaps a value; without one it is that of nginx\'s own environment';
refused(qr/\[emerg\] .*invalid value "A=1" of "proxy_wasm_env": \Q$takes\E in \S+nginx\.conf:\d+$/m, 'proxy_wasm_env A=1;');
refused(qr/\[emerg\] .*invalid value "A B C" of "proxy_wasm_env": \Q$takes\E in/, 'proxy_wasm_env A B C;');
refused(qr/\[emerg\] .*duplicate "proxy_wasm_env" "A", the first is in \S+nginx\.conf:\d+ in \S+nginx\.conf:\d+$/m, 'proxy_wasm_env A 1; proxy_wasm_env A 2;');
refused(qr/\[emerg\] .*duplicate "proxy_wasm_env" "FROM_OUTSIDE"/, 'proxy_wasm_env FROM_OUTSIDE; proxy_wasm_env FROM_OUTSIDE 2;');
refused(qr/\[emerg\] .*duplicate "proxy_wasm_env" "A"/, 'proxy_wasm_env filter=probe A 1; proxy_wasm_env filter=probe A 1;');
refused(qr/\[emerg\] .*no "proxy_wasm prob" for what is said of "filter=prob" \(there is probe\)/, 'proxy_wasm_env filter=prob A 1;');
$nginx->configure(main => $main, server => 'location / { proxy_wasm probe; proxy_wasm_env A 1; proxy_wasm_env filter=probe A 2; }');
my ($ok, $output) = $nginx->test;
ok($ok, 'one for all filters and one for some do not stand in each other\'s way') or diag $output;

done_testing;
