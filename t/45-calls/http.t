# Calls by HTTP: what goes out, what comes back, from every callback, alone and many at once.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

Peer->needs('python3');
my $peer   = Peer->fault('plain=127.0.0.1');
my $port   = $peer->port;
my $target = "127.0.0.1:$port";
my $calls  = Calls->new(
    'calls-http',
    modules => [['go', 'go-calls'], ['assemblyscript', 'assemblyscript-calls'], ['headers', 'rust-headers']],
    server  => <<"CONF",
location /proxied { proxy_wasm calls; proxy_http_version 1.1; proxy_pass http://$target/echo; }
location /two { proxy_wasm calls 'call first $target GET /status/201; wait; \@first set request x-first 1';
    proxy_wasm calls; proxy_pass http://$target/echo; }
location /go { proxy_wasm go; return 200 "ok\\n"; }
location /as { proxy_wasm assemblyscript; return 200 "ok\\n"; }
location /tick { proxy_wasm calls 'tick 20; \@tick call a $target GET /body/4; \@tick call b $target GET /status/202;
    answer-tick 200'; return 200 "ok\\n"; }
location /tick-wait { proxy_wasm calls 'tick 20; \@tick call a $target GET /body/4; wait-tick;
    \@response-headers set response x-waited 1'; return 200 "ok\\n"; }
CONF
);
my $nginx = $calls->{nginx};

# What goes out.
for my $method (qw( GET POST PUT DELETE PATCH OPTIONS PURGE )) {
    my $a = $calls->ask("call a $target $method /echo?q=1%2f2; answer 200")->{a};
    is($a->{status}, 200, "$method is answered");
    is("$a->{echo}{method} $a->{echo}{target}", "$method /echo?q=1/2", 'it came as it was sent');
}
my $came = $calls->ask("call a $target HEAD /body/7; answer 200");
is_deeply([@{ $came->{a} }{qw( status body )}, $came->{a}{headers}{'content-length'}], [200, '', 7], 'HEAD has no body');

$came = $calls->ask("call a $target GET /echo authority:some.example h:x-one=1 h:X-Two=a%20b h:x-one=2 h:accept=*/*; answer 200");
my %headers = %{ $came->{a}{echo}{headers} };
is($headers{host},    'some.example', ':authority is Host');
is($headers{'x-one'}, '1, 2',         'a header may come twice');
is($headers{'x-two'}, 'a b',          'values have spaces');
is_deeply([sort keys %headers], [qw( accept host x-one x-two )], 'and the host adds no headers to those of the filter')
    or diag(explain(\%headers));
is($came->{a}{echo}{version}, 'HTTP/1.1', 'the version is 1.1');

$came = $calls->ask("call a $target POST /echo body:some%20body; answer 200");
is($came->{a}{echo}{body},                      'some body', 'the body came');
is($came->{a}{echo}{headers}{'content-length'}, 9,           'with its length');
$came = $calls->ask("call a $target POST /echo size:1000000; answer 200");
is($came->{a}{echo}{body}, '1000000 bytes', 'a large body came');
$came = $calls->ask("call a $target POST /echo body:b t:x-end=1 t:x-more=2; answer 200");
is_deeply($came->{a}{echo}{trailers}, { 'x-end' => 1, 'x-more' => 2 }, 'trailers came behind the body');
is($came->{a}{echo}{body}, 'b', 'which is whole');
$came = $calls->ask("call a $target POST /echo t:x-end=1; answer 200");
is_deeply($came->{a}{echo}{trailers}, { 'x-end' => 1 }, 'trailers came without a body, too');

# What comes back.
for my $status (200, 201, 204, 206, 301, 304, 400, 401, 404, 429, 500, 503, 599) {
    my $a = $calls->ask("call a $target GET /status/$status; answer 200")->{a};
    is($a->{status}, $status, "status $status");
    is($a->{body}, $status =~ /^[23]04$/ ? '' : "status $status", 'with its body');
}
my $a = $calls->ask("call a $target GET /trailers/x-end=1/x-more=2; answer 200")->{a};
is_deeply([@$a{qw( body trailers )}], ['body', { 'x-end' => 1, 'x-more' => 2 }], 'trailers');
is($a->{counts}[2], 2, 'the callback tells how many');
is($a->{counts}[0], scalar @{ $a->{raw_headers} }, 'and how many headers');
is($a->{raw_headers}[0][0], ':status', 'of which :status is the first');
is_deeply([grep { $_->[0] =~ /[A-Z]/ } @{ $a->{raw_headers} }], [], 'names are in lower case');
$a = $calls->ask("call a $target GET /body/900000; answer 200")->{a};
is_deeply([$a->{counts}[1], $a->{body}], [900_000, '900000 bytes'], 'a large body');
$a = $calls->ask("call a $target GET /chunked/90000; answer 200")->{a};
is($a->{body}, 'c' x 90_000, 'a body in chunks');
$a = $calls->ask("call a $target GET /slow/20/5; answer 200")->{a};
is($a->{body}, join('', map {"piece $_\n"} 0 .. 4), 'a body that comes in pieces');
$a = $calls->ask("call a $target GET /interim/100,103/echo; answer 200")->{a};
is_deeply([$a->{status}, $a->{headers}{'x-interim'}], [200, undef], 'interim answers are left out');
$a = $calls->ask("call a $target GET /many-headers/90; answer 200")->{a};
is_deeply([map { $a->{headers}{"x-$_"} } 0 .. 89], [0 .. 89], 'many headers');
$a = $calls->ask("call a $target GET /until-close/all; answer 200")->{a};
is($a->{body}, 'all', 'a body that the end of the connection ends');
$a = $calls->ask("call a $target GET /half-closed/half; answer 200")->{a};
is($a->{body}, 'half', 'also when the server goes on reading');
$a = $calls->ask("call a $target GET /http10; answer 200")->{a};
is_deeply([@$a{qw( status body )}], [200, 'old'], 'an answer of HTTP/1.0');
$a = $calls->ask("call a $target POST /early size:9; answer 200")->{a};
is($a->{status}, 413, 'an answer before the request was read');

# What is not said, which other hosts fill in too.
$came = $calls->ask(<<"CALLS");
bare a $target h::method=POST h::path=/echo
bare b $target h::method=GET h::authority=a
bare c $target h::path=/echo h::authority=a
bare d $target
answer 200
CALLS
is("$came->{a}{echo}{method} $came->{a}{echo}{headers}{host}", "POST $target", 'without :authority it is the name of the service');
is("$came->{c}{echo}{method} $came->{c}{echo}{headers}{host}", 'GET a', 'without :method it is GET');
is_deeply([map { $came->{$_}{kind} } qw( b d )], [('response') x 2], 'without :path, or without anything, it is sent too');

# What cannot be sent (t/45-calls/bytes.t has more of it): as any call that fails.
$calls->fails($target, 'GET /status/200 h:x=a%0ab', qr/the header "x" has a value that cannot be sent/, 'a line break in a header');
$calls->fails($target, 'CONNECT /', qr/"CONNECT" is no valid ":method"/, 'CONNECT');

# A head with bytes that the HTTP library cannot hold, and a body that does not fit into one write.
$a = $calls->ask("call a $target POST /echo?q=%3c%22 size:3000000; answer 200")->{a};
is_deeply([@{ $a->{echo} }{qw( target body )}], ['/echo?q=<"', '3000000 bytes'], 'odd bytes before a large body');

# Many.
$came = $calls->ask("call a $target GET /together/20/status/200 times:20; answer 200");
is_deeply([map { $came->{"a$_"}{status} } 1 .. 20], [(200) x 20], '20 calls are under way at the same time');
$came = $calls->ask("call a $target GET /delay/300/body/1; call b $target GET /body/2; answer 200");
is(CORE::join(' ', map { $_->{name} } @{ $came->{events} }), 'b a', 'callbacks come as the answers do');
$came = $calls->ask(<<"CALLS");
call a $target GET /status/201
\@a call b $target GET /status/202
\@b call c1 $target GET /status/203
\@b call c2 $target GET /status/203
\@c2 call d $target GET /status/205
answer 200
CALLS
is_deeply([sort map {"$_->{name} $_->{status}"} @{ $came->{events} }], ['a 201', 'b 202', 'c1 203', 'c2 203', 'd 205'], 'calls from callbacks of calls');

# From each callback of a request. The response of a local answer is a response as well.
for my $place (qw( request-headers request-body )) {
    $came = $calls->ask("\@$place call a $target GET /body/3; \@$place answer 200", body => 'to the filter', path => '/proxied');
    is($came->{a}{body}, 'bbb', "from on_http_$place =~ s/-/_/gr");
}
for my $place (qw( request-headers request-body )) {
    my $response = $calls->ask(
        "\@$place call a $target GET /delay/50/body/3; \@$place wait; \@a set request x-came yes",
        body => 'to the upstream', path => '/proxied', raw => 1
    );
    my $echo = JSON::PP::decode_json($response->{content});
    is($echo->{body}, 'to the upstream', "a request that waited in $place goes on");
    my ($header) = map { $_->[1] } grep { lc $_->[0] eq 'x-came' } @{ $echo->{headers} };
    # The headers of the request have gone upstream by then, unless they wait as well.
    is($header, 'yes', 'with the header that the callback added') if $place eq 'request-headers';
}
for my $place (qw( response-headers response-body )) {
    my $response = $calls->ask("\@$place call a $target GET /delay/50/body/3; \@$place wait; \@a log came in $place", path => '/proxied', raw => 1);
    is($response->{status}, 200, "a response that waited in $place is sent");
    like($response->{content}, qr/^\{"method".*\}$/, 'whole');
    like($calls->log, qr/came in $place/, 'after the callback');
}
my $response = $calls->ask("\@response-headers call a $target GET /body/3; \@response-headers wait; \@a set response x-came yes", raw => 1);
is_deeply([$response->{headers}{'x-came'}, $response->{content}], ['yes', "ok\n"], 'the callback changes headers of the response');
$calls->ask("\@done call a $target GET /body/3; \@done wait; \@a log came in done", raw => 1);
$nginx->wait_for('the callback', sub { $calls->log =~ /came in done/ });
pass('from on_done, which the call defers');

# Two filters in one location.
$response = $calls->ask("call second $target GET /status/202; wait; \@second set request x-second 2", path => '/two', raw => 1);
like($response->{content}, qr/"x-first", "1"/, 'two filters that call: the first one');
like($response->{content}, qr/"x-second", "2"/, 'and the second');

# From the root.
$came = $calls->read(JSON::PP::decode_json($nginx->get('/tick')->{content}));
is_deeply([$came->{a}{body}, $came->{b}{status}], ['bbbb', 202], 'calls from a tick, whose callbacks answer a request');
$response = $nginx->get('/tick-wait');
is_deeply([@$response{qw( status content )}, $response->{headers}{'x-waited'}], [200, "ok\n", 1], 'and let one go on');

# Other SDKs.
for my $language (qw( go as )) {
    $response = $nginx->get("/$language", { 'x-calls' => "$target GET /status/201;$target POST /body/3;no_such_thing GET /;$target GET /delay/100/status/404" });
    is($response->{content}, "201 status 201\n200 bbb\nrefused\n404 status 404\n", "$language: several calls");
}
$nginx->get('/as', { 'x-calls' => "log $target GET /status/201" });
$nginx->wait_for('the late answer', sub { $nginx->log =~ /wasm "assemblyscript": late: 201 status 201/ });
pass('a call whose stream has gone is answered to the root');

$calls->finish;
done_testing();
