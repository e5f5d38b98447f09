# A response that is made of parts, each the response of a subrequest: filters see it whole, in order, and what they do is
# about the whole.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('parts');
# It is for the installed nginx.
my ($echo) = grep { -f && $ENV{TEST_WASM_NGINX} eq 'installed' } map {"$_/ngx_http_echo_module.so"} '/usr/lib/nginx/modules', '/usr/share/nginx/modules';

my $file = join('', map {"line $_ of the origin\n"} 0 .. 19_999);
$file = substr $file, 0, 300_000;
substr($file, 250_000, 9) = 'FORBIDDEN';
mkdir $nginx->prefix . '/www';
$nginx->write('www/big', $file);

my $n      = 0;
my %filter = (
    plain      => '',
    header     => q{proxy_wasm headers 'response.add x-a 1';},
    look       => q{proxy_wasm bodies 'quiet; response-body sum';},
    'hold-headers' => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick resume';},
    'hold-some'    => q{proxy_wasm bodies 'quiet; tick 20; response-body #1 hold; response-body at-tick resume';},
    'hold-all'     => q{proxy_wasm bodies 'quiet; response-body hold-until-end';},
    upper      => q{proxy_wasm bodies 'quiet; response-body upper';},
    append     => q{proxy_wasm bodies 'quiet; response-headers remove response content-length; response-end append THEEND';},
    two        => q{proxy_wasm bodies 'quiet; response-body upper'; proxy_wasm bodies 'quiet; response-body hold-until-end';},
    deny       => q{proxy_wasm bodies 'quiet; response-headers respond 403 no';},
    'deny-body'    => q{proxy_wasm bodies 'quiet; response-body respond 403 no';},
    'deny-late'    => q{proxy_wasm bodies 'quiet; response-body hold-until-end; response-end respond 403 no';},
    trap       => q{proxy_wasm bodies 'quiet; response-headers trap';},
    word       => q{proxy_wasm bodies 'quiet; response-body respond-if FORBIDDEN 403 found';},
    never      => q{wasm_pause_timeout 100ms; proxy_wasm bodies 'quiet; response-headers hold';},
);
my $port = $nginx->port;
my $locations = join "\n", map {
    my $key = $n++;
    "location /slice/$_ { slice 64k; proxy_cache c; proxy_cache_key $key\$uri\$slice_range; $filter{$_} proxy_pass http://127.0.0.1:$port/origin; }"
} sort keys %filter;
my $parts = $echo ? join "\n", map {"location /echo/$_ { $filter{$_} echo_location /part/1; echo between; echo_location /part/2; }"} sort keys %filter : '';

if ($echo) { push @{ $nginx->{modules} }, $echo unless grep { $_ eq $echo } @{ $nginx->{modules} } }
$nginx->configure(
    main => "wasm { module bodies $root/build/guests/rust-bodies.wasm; module headers $root/build/guests/rust-headers.wasm; }",
    http => "proxy_cache_path @{[ $nginx->prefix ]}/cache keys_zone=c:1m; proxy_cache_valid 200 206 1h;
        proxy_wasm_response_body_buffer 16m; proxy_set_header Range \$slice_range; proxy_http_version 1.1;",
    server => "root @{[ $nginx->prefix ]}/www;
        location = /origin { alias @{[ $nginx->prefix ]}/www/big; }
        location = /part/1 { proxy_pass http://127.0.0.1:$port/slow/1; }
        location = /part/2 { return 200 'two FORBIDDEN '; }
        location = /slow/1 { return 200 'part one '; }
        $locations
        $parts",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# What is to come: a status and a body.
sub expected {
    my ($name, $body) = @_;
    return (403, 'no')    if $name =~ /^deny/;
    return (503, '')      if $name eq 'trap';
    return (504, '')      if $name eq 'never';
    return (200, uc $body) if $name =~ /^(?:upper|two)$/;
    return (200, "${body}THEEND") if $name eq 'append';
    return (200, $body);
}

sub check {
    my ($path, $name, $body) = @_;
    my ($status, $wanted) = expected($name, $body);
    my $client = RawClient->new($port);
    # Twice: what the first response leaves, the second would show. The second time nginx's cache has the parts.
    for my $time ('first', 'second') {
        my $response = eval { $client->send("GET $path HTTP/1.1\r\nHost: a\r\n\r\n")->response };
        if ($name eq 'word') {
            ok !defined $response || $response->{cut} && $response->{body} !~ /FORBIDDEN/ || $response->{status} == 403,
                "$path, $time: what a filter refuses in the middle does not go out";
            last if !defined $response || $response->{cut};
            next;
        }
        is $response && $response->{status}, $status, "$path, $time: status";
        is length($response->{body} // ''), length $wanted, "$path, $time: length";
        ok +($response->{body} // '') eq $wanted, "$path, $time: body";
        last if ($response->{headers}{connection} // '') eq 'close';
    }
    return;
}

check("/slice/$_", $_, $file) for sort keys %filter;

# A filter looks at the bytes of the whole, so it gets the whole; a filter that does not leaves ranges to nginx.
for my $name ('plain', 'header', 'look', 'upper') {
    my $response = RawClient->new($port)->send("GET /slice/$name HTTP/1.1\r\nHost: a\r\nRange: bytes=100000-200000\r\nConnection: close\r\n\r\n")->response;
    if ($response->{status} == 206) {
        ok $response->{body} eq substr($file, 100_000, 100_001), "a range of /slice/$name";
    } else {
        is $response->{status}, 200, "a range of /slice/$name is the whole";
        ok $response->{body} eq (expected($name, $file))[1], "the whole of /slice/$name";
    }
}

SKIP: {
    skip 'no echo module', 1 unless $echo;
    # Its headers have no length, and are out when a filter looks at the body.
    check("/echo/$_", $_, "part one between\ntwo FORBIDDEN ") for sort grep { !/^deny-/ } keys %filter;
    for my $name ('deny-body', 'deny-late') {
        my $response = eval { RawClient->new($port)->send("GET /echo/$name HTTP/1.1\r\nHost: a\r\n\r\n")->response };
        ok !defined $response || $response->{cut} && $response->{body} eq '', "/echo/$name: no byte of what is refused";
    }
}
unlike $nginx->log, qr/\[alert\]|\[emerg\]|exited on signal/, 'nothing is wrong in the log';
# Under valgrind, which knows no titles, nginx's cache manager is taken for one, too.
is scalar(my @workers = $nginx->workers), 1, 'the worker is there' unless $ENV{TEST_WASM_VALGRIND};

done_testing;
