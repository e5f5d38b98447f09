# Everything at once: requests with bodies, pauses, calls, redirects, mirrors, other chains, and among them all kinds of failures,
# many at the same time, under each policy and both modes of isolation. Which ones fail is left to chance. What must hold: each
# request ends, with an answer that is whole or was cut off; what is served is right; the healthy chain beside loses nothing;
# nginx logs nothing bad, keeps its worker and its descriptors, and serves afterwards.

use strict;
use warnings;

use JSON::PP ();
use LoadClient;
use NginxProcess;
use Peer;
use Test::More;

Peer->needs('python3');
my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $seed   = $ENV{TEST_WASM_SEED} // 1;
my $nginx  = NginxProcess->new('mixture', connections => 2048);
my $peer   = Peer->fault('plain=127.0.0.1');
my $target = '127.0.0.1:' . $peer->port;
my $port   = $nginx->port;
srand $seed;

my %policy = (closed => 'closed', open => 'open', reload => 'reload', 'reload-open' => 'reload open');
my @chains;
my $places = '';
for my $policy (sort keys %policy) {
    for my $mode (qw( worker request )) {
        # `closed` and `open` without isolation are over with the first failure.
        next if $mode eq 'worker' && $policy !~ /reload/;
        my $chain = "$policy-$mode";
        push @chains, $chain;
        my $filters = "
            proxy_wasm_headers_stop_iteration @{[ $policy =~ /open/ ? 'on' : 'off' ]};
            proxy_wasm_response_order @{[ $mode eq 'worker' ? 'declared' : 'onion' ]};
            proxy_wasm_isolation $mode;
            proxy_wasm_on_error $policy{$policy};
            proxy_wasm_restart_delay 1ms 1ms;
            proxy_wasm first 'name first';
            proxy_wasm second 'name second';";
        $places .= <<"CONF";
location /$chain/return { $filters return 200 "returned\\n"; }
location /$chain/file { $filters alias @{[ $nginx->prefix ]}/file; }
location /$chain/echo { $filters client_body_buffer_size 4k; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}; }
location /$chain/stream { $filters proxy_request_buffering off; proxy_buffering off; proxy_http_version 1.1; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}; }
location /$chain/redirect { $filters try_files /nowhere /$chain/echo; }
location /$chain/other { $filters rewrite ^ /healthy/echo last; }
location /$chain/mirror { $filters mirror /healthy/mirrored; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}; }
location /$chain/page { $filters error_page 503 =200 /healthy/echo; error_page 404 /$chain/echo; return 404; }
location /$chain/ranges { $filters alias @{[ $nginx->prefix ]}/file; gzip on; gzip_types *; gzip_min_length 1; }
CONF
    }
}
my $file = join '', map { chr(ord('a') + $_ % 26) x 1000 } 0 .. 99;
$nginx->write('file', $file);
$nginx->configure(
    main => "wasm {
        module first $root/build/guests/rust-faulty.wasm;
        module second $root/build/guests/rust-faulty.wasm;
        module before $root/build/guests/rust-headers.wasm;
    }",
    http => "wasm_timeout 30ms; wasm_memory_limit 8m; wasm_fuel filter=second 100000000; wasm_pause_timeout 1s;
        large_client_header_buffers 4 32k;
        server { listen 127.0.0.1:@{[ $port + 1 ]}; client_body_buffer_size 1m; root @{[ $nginx->prefix ]}; location / { rewrite ^ /file break; error_page 405 =200 /file; } location = /file { error_page 405 =200 /file; } }",
    server => "listen 127.0.0.1:@{[ $port + 2 ]} http2;
        $places
        location /healthy/ { proxy_wasm before 'response.add x-healthy yes'; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

my @callbacks = qw( request-headers request-body response-headers response-body done log delete call-response create );
my @deeds = (
    'abort', 'trap', 'recurse', 'loop', 'leak 1000000', 'grow 100', 'spin 1000000', 'headers 50 100', 'close 0', 'close 1',
    'respond 200 early', 'respond 418', 'replace request :path /healthy/x', 'pause', "call $target /status/200", "call $target /delay/5/status/200",
    'resume', 'continue 0', 'continue 1', 'set-buffer 0 0 1000000 x', 'set-buffer 1 0 1000000 y', 'false', 'end', 'flood 3', 'raw close_stream 5',
    'effective 3', 'add request x-a b', 'add response x-a b', 'property request|path', 'share mixture', 'buffer 1 0 100000', 'calls 3 127.0.0.1:1 /',
);

sub pick { return $_[rand @_] }

# Pauses always have what ends them.
sub statements {
    return '' if rand() < 0.3;
    my @says;
    for (1 .. 1 + rand 3) {
        push @says, '@' . pick(@callbacks) . ' ' . pick(@deeds);
    }
    if (grep {/pause/} @says) {
        my $direction = join(' ', grep {/pause/} @says) =~ /response/ ? 1 : 0;
        unshift @says, "\@request-headers call $target /delay/2/status/200";
        push @says, '@call-response continue 0', '@call-response continue 1';
    }
    return join '; ', @says;
}

my @paths = qw( return file echo stream redirect other mirror page ranges );
my @requests;

# Number N: every fifth goes to the healthy chain.
sub request_of {
    my ($n) = @_;
    my $is_healthy = $n % 5 == 0;
    my %request = (
        healthy => $is_healthy,
        path    => $is_healthy ? '/healthy/x' : '/' . pick(@chains) . '/' . pick(@paths),
        body    => rand() < 0.5 ? pick(1, 100, 5000, 50_000) : 0,
        headers => [],
    );
    my $says = $is_healthy ? '' : statements();
    $request{method} = $request{body} ? 'POST' : !$is_healthy && rand() < 0.1 ? 'HEAD' : 'GET';
    push @{ $request{headers} }, ['x-faulty', $says] if $says ne '';
    push @{ $request{headers} }, ['range', 'bytes=10-20'] if $request{path} =~ /ranges/ && rand() < 0.5;
    push @{ $request{headers} }, ['accept-encoding', 'gzip'] if rand() < 0.3;
    $requests[$n] = { %request, says => $says };
    return \%request;
}

sub text_of {
    my ($request) = @_;
    my @lines = map {"$_->[0]: $_->[1]"} @{ $request->{headers} };
    push @lines, "content-length: $request->{body}" if $request->{body};
    return join "\r\n", "$request->{method} $request->{path} HTTP/1.1", 'Host: a', 'Connection: close', @lines, '', 'b' x $request->{body};
}

# What a response to a request that may fail can be.
my %may = map { $_ => 1 } qw( 200 206 400 404 405 413 416 418 500 503 504 );

my $count = $ENV{TEST_WASM_REQUESTS} // 2000;
my (@wrong, %kinds);
LoadClient::run(
    $port, 40,
    within  => 300,
    request => sub { my $n = shift; return $n < $count ? text_of(request_of($n)) : undef },
    answer  => sub {
        my ($n, $bytes) = @_;
        my $request = $requests[$n];
        my ($status) = $bytes =~ m{^HTTP/1\.1 (\d+)};
        $kinds{ $status // ($bytes eq '' ? 'closed' : 'other') }++;
        my $is_right = $request->{healthy}
            ? $bytes =~ /\r\nx-healthy: yes\r\n/i && length($bytes) > 60_000
            : $bytes eq '' || $bytes =~ /^\[/ || defined $status && $may{$status};
        push @wrong, "$request->{path} [$request->{says}]: " . substr $bytes, 0, 300 if !$is_right;
    },
);
is_deeply(\@wrong, [], "each of $count requests has ended as it may (seed $seed)");
note join ', ', map {"$_: $kinds{$_}"} sort keys %kinds;
cmp_ok($kinds{200} // 0, '>', $count / 5, 'many were served');
cmp_ok($kinds{503} // 0, '>', 0, 'some failed');

# The same over HTTP/2, where the library for it can be had.
SKIP: {
    my $script = "$root/tools/install.sh";
    chomp(my $library = qx($script h2));
    skip('needs the Python library h2', 2) if $? != 0;
    local $ENV{PYTHONPATH} = $library;
    local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
    my $input = $nginx->write('requests', join '', map { JSON::PP::encode_json(request_of($_)) . "\n" } 0 .. $count - 1);
    my @lines = qx(python3 $root/t/lib/http2_requests.py @{[ $port + 2 ]} 20 < $input);
    is(scalar @lines, $count, 'each request over HTTP/2 has ended');
    my (@wrong, %kinds);
    for my $came (map { JSON::PP::decode_json($_) } @lines) {
        my $request = $requests[$came->{number}];
        my $status  = $came->{status} // 'none';
        $kinds{"$status $came->{ended}"}++;
        my $is_right = $request->{healthy}
            ? $status eq 200 && $came->{ended} eq 'whole' && $came->{length} > 60_000
            : $came->{ended} eq 'reset' || $came->{ended} eq 'whole' && $may{$status};
        push @wrong, "$request->{path} [$request->{says}]: $status $came->{ended}" if !$is_right;
    }
    is_deeply(\@wrong, [], "as it may (seed $seed)");
    note join ', ', map {"$_: $kinds{$_}"} sort keys %kinds;
}

for my $chain (@chains) {
    $nginx->wait_for("a right answer of $chain", sub { $nginx->get("/$chain/return")->{content} eq "returned\n" });
}
is(($nginx->workers)[0], $worker, 'the worker is the one that it was');
# The end, which waits for requests that have not ended.
my $pid = $nginx->pid;
$nginx->signal('QUIT');
$nginx->wait_for('the end of nginx', sub { !kill 0, $pid });
my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply([@worse[0 .. ($#worse < 20 ? $#worse : 20)]], [], 'nothing worse in the log');
done_testing;
