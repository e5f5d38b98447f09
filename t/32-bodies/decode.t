# proxy_wasm_decode: filters see bodies of responses decoded, whatever the upstream sent, and what goes on has the right
# headers. What cannot be decoded does not pass.

use strict;
use warnings;

use Coded;
use IO::Socket::INET;
use IO::Uncompress::Gunzip 'gunzip';
use NginxProcess;
use RawClient;
use Test::More;

my $control;

BEGIN {
    $control = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 4) or die "cannot listen: $!\n";
    $ENV{CODED_CONTROL} = $control->sockport;
}

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $up       = $ENV{TEST_NGINX_PORT} + 1;
my $upstream = Coded->start($up);
my $nginx    = NginxProcess->new('decode');
my $prefix   = $nginx->prefix;

$nginx->write('static.txt.gz', Coded::gzipped("a secret\n"));
# It looks at headers alone.
$nginx->write('headers.wat', <<'WAT');
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) i32.const 0))
WAT
$nginx->configure(
    main => "wasm { module bodies $root/build/guests/rust-bodies.wasm; module headers headers.wat; }",
    http => "proxy_buffer_size 4k; proxy_buffers 4 4k; proxy_busy_buffers_size 8k; proxy_http_version 1.1;
             proxy_cache_path $prefix/cache keys_zone=cache:1m; proxy_cache_key \$uri;",
    server => "
        proxy_wasm_decode on;
        location /buffered/   { proxy_wasm bodies 'response-body upper'; proxy_pass http://127.0.0.1:$up/; }
        location /unbuffered/ { proxy_buffering off; proxy_wasm bodies 'response-body upper'; proxy_pass http://127.0.0.1:$up/; }
        location /held/ {
            proxy_wasm bodies 'response-body hold-until-end; response-end upper';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /paused/ {
            proxy_wasm bodies 'tick 20; response-headers hold; response-headers at-tick resume; response-body upper';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /waf/ { proxy_wasm bodies 'response-body respond-if secret 403 blocked'; proxy_pass http://127.0.0.1:$up/; }
        location /held-waf/ {
            proxy_wasm bodies 'response-body hold-until-end; response-end respond-if secret 403 blocked';
            proxy_buffering off;
            proxy_pass http://127.0.0.1:$up/;
        }
        location /headers/ {
            proxy_wasm bodies 'response-headers get response content-encoding; response-headers get response content-length;
                               response-headers get response etag; request-headers get request accept-encoding';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /off/ { proxy_wasm_decode off; proxy_wasm bodies 'response-body show'; proxy_pass http://127.0.0.1:$up/; }
        location /none/ { proxy_pass http://127.0.0.1:$up/; }
        location /headers-alone/ { proxy_wasm headers; proxy_pass http://127.0.0.1:$up/; }
        location /gzip/ {
            gzip on; gzip_min_length 1; gzip_proxied no-cache; gzip_vary on;
            proxy_wasm bodies 'response-body upper';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /gzip-any/ {
            gzip on; gzip_min_length 1; gzip_proxied any; gzip_types text/plain;
            proxy_wasm bodies 'response-body upper';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /gzip-html/ {
            gzip on; gzip_min_length 1; gzip_proxied any; gzip_types text/css;
            proxy_wasm bodies 'response-body upper';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /cached/ {
            proxy_cache cache; proxy_cache_valid 1m; add_header x-cache \$upstream_cache_status always;
            proxy_wasm bodies 'response-body upper';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /static.txt {
            root $prefix; gzip_static always;
            proxy_wasm bodies 'response-body upper';
        }
        location /trailers/ {
            proxy_wasm bodies 'response-body upper; response-trailers get response-trailers x-end';
            grpc_pass grpc://127.0.0.1:@{[ $up + 2 ]};
        }
        location /limit/ {
            proxy_wasm_response_body_buffer 1m;
            proxy_wasm bodies 'quiet; response-body hold';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /look/ { proxy_wasm bodies 'response-body size'; proxy_pass http://127.0.0.1:$up/; }
        location /lost/ {
            proxy_wasm_on_error open;
            proxy_wasm bodies 'quiet; response-body #2 trap';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /page/ {
            proxy_wasm_intercept_errors on; error_page 502 /plain;
            proxy_wasm bodies 'response-body upper';
            proxy_pass http://127.0.0.1:$up/;
        }
        location /plain { proxy_wasm off; return 200 plain; }
    }
    server {
        listen 127.0.0.1:@{[ $up + 1 ]};
        gunzip on;
        location /gunzip/ { proxy_wasm bodies 'response-body upper'; proxy_pass http://127.0.0.1:$up/; }
        location /not/ { proxy_wasm_decode off; proxy_wasm bodies 'response-body show'; proxy_pass http://127.0.0.1:$up/; }
        location /no-gunzip/ { gunzip off; proxy_wasm bodies 'response-body show'; proxy_pass http://127.0.0.1:$up/; }
    }
    server {
        listen 127.0.0.1:@{[ $up + 3 ]} sndbuf=32k;
        proxy_wasm_decode on;
        location /look/ { proxy_wasm bodies 'quiet; response-body size'; proxy_pass http://127.0.0.1:$up/; }
    }
    server {
        listen 127.0.0.1:@{[ $up + 2 ]} http2;
        location = /trailers/t { alias $prefix/static.txt.gz; add_header Content-Encoding gzip; add_trailer x-end yes; }
    ",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

my $position = 0;

# A request, and one behind it on the same connection. Options: method, headers, port.
sub fetch {
    my ($path, %option) = @_;
    my $method  = $option{method} // 'GET';
    my $headers = join '', map {"$_\r\n"} @{ $option{headers} // [] };
    $position = length $nginx->log;
    my $client = RawClient->new($option{port} // $nginx->port);
    $client->send("$method $path HTTP/1.1\r\nHost: a\r\n$headers\r\n", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    my $response = $client->response(no_body => $method eq 'HEAD');
    return ($response // { status => 0, headers => {}, body => '' }, $client);
}

sub errors { return grep {/\[(?:error|crit|alert)\]/} split /^/, substr $nginx->log, $position }

# Bodies that are right, through filters that do something with them.
my %bodies = (
    (map { $_ => "A SECRET\n" } qw( gzip x-gzip zlib raw unsized padded trailing )),
    members => "A SECRET\nAND A SECRET\n",
    none    => '',
);
for my $way (qw( buffered unbuffered held paused )) {
    for my $form (sort keys %bodies) {
        my ($response, $client) = fetch("/$way/$form");
        my $name = "$way, $form";
        is($response->{body}, $bodies{$form}, "$name: the body");
        my %headers = %{ $response->{headers} };
        is_deeply([sort grep {/^(?:content-(?:encoding|length|md5)|accept-ranges)$/} keys %headers], [], "$name: no header about encoded bytes");
        is($headers{etag}, 'W/"tag"', "$name: the entity tag is a weak one");
        is($headers{'last-modified'}, 'Mon, 28 Sep 1970 06:00:00 GMT', "$name: last-modified stays");
        is($client->response->{body}, 'plain', "$name: the next request");
        is_deeply([errors()], [], "$name: nothing in the log");
    }
}
{
    my ($response, $client) = fetch('/buffered/zero');
    is("$response->{body}$response->{headers}{'content-length'}", '0', 'a body of no bytes');
    is($response->{headers}{'content-encoding'}, undef, 'and no coding');
    is($client->response->{body}, 'plain', 'and the next request');
}

# What filters see of the headers.
for my $method (qw( GET HEAD )) {
    my ($response, $client) = fetch('/headers/gzip', method => $method, headers => ['Accept-Encoding: br;q=1, gzip;q=0.5, *']);
    for my $line ('content-encoding: none', 'content-length: none', 'etag: W/"tag"') {
        like(substr($nginx->log, $position), qr/response-headers get response \Q$line/, "$method: a filter sees $line");
    }
    like(substr($nginx->log, $position), qr/get request accept-encoding: gzip;q=0\.5/, "$method: and what the upstream is asked for");
    is($response->{headers}{'content-encoding'} // $response->{headers}{'content-length'}, undef, "$method: so does the client");
    is($client->response->{body}, 'plain', "$method: the next request");
}
{
    my ($response) = fetch('/headers/not-modified');
    is("$response->{status} $response->{headers}{etag}", '304 W/"tag"', 'not modified');
    is($response->{headers}{'content-encoding'}, undef, 'without a coding');
}
for ([br => 'identity'], ['gzip, deflate, br, zstd' => 'gzip, deflate'], ['gzip' => 'gzip'], [undef, 'none']) {
    my ($said, $asked) = @$_;
    my ($response) = fetch('/buffered/gzip', headers => [defined $said ? "Accept-Encoding: $said" : ()]);
    is($response->{headers}{'x-accepted'}, $asked, "an upstream is asked for $asked");
}
is((fetch('/none/gzip', headers => ['Accept-Encoding: br']))[0]{headers}{'x-accepted'}, 'br', 'without a filter, for what the client said');
is((fetch('/headers-alone/gzip', headers => ['Accept-Encoding: br']))[0]{headers}{'x-accepted'}, 'br', 'and where no filter looks at bodies');
is((fetch('/headers-alone/gzip'))[0]{headers}{'content-encoding'}, 'gzip', 'where the response stays as it is');

# A rule about the response.
for my $path (qw( /waf/gzip /waf/zlib /held-waf/gzip /held-waf/unsized )) {
    my ($response, $client) = fetch($path);
    is("$response->{status} $response->{body}", '403 blocked', "$path: refused");
    is($client->response->{body}, 'plain', "$path: the next request");
}
is((fetch('/waf/gzip/harmless'))[0]{body}, "harmless\n", 'what the rule is not about');

# What is wrong, and shows before the headers have gone.
for my $way (qw( buffered unbuffered held )) {
    my %why = (
        spoiled => 'its data is corrupt',
        sum     => 'its checksum or its length is wrong',
        plain   => 'it does not begin as it should',
    );
    for my $form (sort keys %why) {
        my ($response, $client) = fetch("/$way/$form");
        is("$response->{status} $response->{body}", '502 ', "$way, $form: 502");
        is($client->response->{body}, 'plain', "$way, $form: the next request");
        my @errors = errors();
        is(@errors, 1, "$way, $form: one line");
        like("@errors", qr/\[error\].* the gzip body of a response cannot be decoded .*: $why{$form}; it is answered with 502/, "$way, $form: which says why");
    }
}
is((fetch('/page/spoiled'))[0]{body}, 'plain', 'a page for that');
{
    my ($response, $client) = fetch('/held/cut');
    is($response->{status}, 502, 'a body that ends early, held: 502');
    ($response) = fetch('/buffered/late');
    ok($response->{cut}, 'damage behind the beginning: the response is cut');
    my $good = uc Coded::noise(100_000);
    ok(length $response->{body} && index($good, $response->{body}) == 0, 'after a part of what is right');
    my @errors = errors();
    is(@errors, 1, 'with one line');
    like("@errors", qr/its data is corrupt; the connection is closed/, 'which says so');
    ($response) = fetch('/unbuffered/cut');
    ok($response->{cut} || $response->{status} == 502, 'a body that ends early has no end');
    is(scalar(errors()), 1, 'and one line');
}

# What cannot be decoded.
for my $way (qw( buffered unbuffered )) {
    for my $form (qw( br twice part )) {
        for my $method (qw( GET HEAD )) {
            my ($response, $client) = fetch("/$way/$form", method => $method);
            is("$response->{status} $response->{body}", '502 ', "$way, $form, $method: 502");
            is($response->{headers}{'content-encoding'}, undef, "$way, $form, $method: no coding");
            is($client->response->{body}, 'plain', "$way, $form, $method: the next request");
            my @errors = errors();
            is(@errors, 1, "$way, $form, $method: one line");
            my $remedy = $form eq 'part' ? "proxy_set_header Range ''" : 'proxy_set_header Accept-Encoding gzip';
            like("@errors", qr/\[error\].*502; say "\Q$remedy\E;" or "proxy_wasm_decode off;"/, "$way, $form, $method: with the ways out");
        }
    }
}
is((fetch('/page/br'))[0]{body}, 'plain', 'a page for that');
{
    my ($response) = fetch('/off/br');
    is($response->{headers}{'content-encoding'}, 'br', 'off: another coding passes');
    ($response) = fetch('/off/part');
    is($response->{status}, 206, 'off: a part passes');
    ($response) = fetch('/off/gzip');
    is($response->{headers}{'content-encoding'}, 'gzip', 'off: gzip stays');
    like(substr($nginx->log, $position), qr/body "\\x1f\\x8b/, 'and filters see it as it is');
}

# nginx's own modules.
sub unzipped {
    my $response = shift;
    return "not encoded: $response->{body}" if ($response->{headers}{'content-encoding'} // '') ne 'gzip';
    gunzip(\$response->{body}, \my $text) or return 'no gzip';
    return $text;
}
my @accept = ('Accept-Encoding: gzip');
{
    my ($response, $client) = fetch('/gzip/gzip', headers => \@accept);
    is($response->{headers}{vary}, undef, 'gzip on: text/plain is not among its types');
    is($response->{body}, "A SECRET\n", 'so it stays plain');
    ($response, $client) = fetch('/gzip-any/gzip', headers => [@accept, 'Via: proxy']);
    is(unzipped($response), "A SECRET\n", 'gzip_types text/plain: encoded again');
    is($client->response->{body}, 'plain', 'and the next request');
    is((fetch('/gzip-any/gzip'))[0]{body}, "A SECRET\n", 'not for a client that cannot read it');
    is((fetch('/gzip-html/gzip', headers => \@accept))[0]{body}, "A SECRET\n", 'nor another type');
    ($response) = fetch('/gzip-any/zlib', headers => \@accept);
    is(unzipped($response), "A SECRET\n", 'deflate becomes gzip');
    ($response) = fetch('/gzip-any/zeros', headers => ['Accept-Encoding: br, gzip']);
    is(length unzipped($response), 16 << 20, 'a large one');
    is($response->{headers}{'x-accepted'}, 'gzip', 'nginx goes by what the client said, the upstream by what filters can read');
}
for my $state (qw( MISS HIT HIT )) {
    my ($response) = fetch('/cached/gzip');
    is("$response->{headers}{'x-cache'} $response->{body}", "$state A SECRET\n", "proxy_cache: $state");
    is($response->{headers}{'content-encoding'}, undef, "proxy_cache: $state: plain");
}
my ($file) = glob "$prefix/cache/*";
{
    open my $in, '<:raw', $file or die "cannot read $file: $!";
    my $content = do { local $/; <$in> };
    like($content, qr/Content-Encoding: gzip/i, 'the cache has what the upstream sent');
    my ($response, $client) = fetch('/cached/gzip', headers => ['Range: bytes=0-3']);
    is("$response->{status} $response->{body}", "200 A SECRET\n", 'no ranges of it');
    is($client->response->{body}, 'plain', 'and the next request');
}
for my $headers ([], \@accept, ['Range: bytes=0-3']) {
    my ($response, $client) = fetch('/static.txt', headers => $headers);
    is("$response->{status} $response->{body}", "200 A SECRET\n", "gzip_static, @$headers");
    is($response->{headers}{'content-encoding'} // $response->{headers}{'accept-ranges'}, undef, "gzip_static, @$headers: plain");
    is($client->response->{body}, 'plain', "gzip_static, @$headers: the next request");
}
for my $headers ([], \@accept) {
    my ($response) = fetch('/gunzip/gzip', headers => $headers, port => $up + 1);
    is($response->{body}, "A SECRET\n", "gunzip on, @$headers: filters see what nginx would have made of it");
    is($response->{headers}{'content-encoding'}, undef, "gunzip on, @$headers: plain");
}
fetch('/not/gzip', port => $up + 1);
like(substr($nginx->log, $position), qr/body "\\x1f\\x8b/, 'gunzip on, but proxy_wasm_decode off');
is((fetch('/no-gunzip/gzip', port => $up + 1))[0]{headers}{'content-encoding'}, 'gzip', 'gunzip off');

# Trailers come behind what is decoded.
{
    my ($response, $client) = fetch('/trailers/t');
    is($response->{body}, "A SECRET\n", 'a body with trailers');
    is($client->response->{body}, 'plain', 'and the next request');
    like(substr($nginx->log, $position), qr/get response-trailers x-end: yes/, 'which filters see');
}

# Each part of a stream when it comes.
{
    my $client = RawClient->new($nginx->port);
    $client->send("GET /unbuffered/events HTTP/1.1\r\nHost: a\r\n\r\n");
    my $peer = $control->accept;
    $peer->autoflush(1);
    print $peer "head\n";
    like($client->take(qr/.*?\r\n\r\n/s), qr/^HTTP\/1\.1 200/, 'a stream: the headers');
    for (qw( ONE TWO )) {
        print $peer "next\n";
        is($client->take(qr/[0-9a-f]+\r\n.*?\r\n/), "3\r\n$_\r\n", "a stream: $_");
    }
    print $peer "end\n";
    is($client->take(qr/0\r\n\r\n/), "0\r\n\r\n", 'a stream: the end');
}

# Much from little.
my $zeros = "\0" x (16 << 20);
for my $path (qw( /buffered/zeros /unbuffered/zeros /paused/zeros /lost/zeros )) {
    my ($response, $client) = fetch($path);
    ok($response->{body} eq $zeros, "$path: all of it");
    is($client->response->{body}, 'plain', "$path: the next request");
}
{
    my ($response, $client) = fetch('/limit/zeros');
    is($response->{status}, 500, 'a filter that holds too much: 500');
    is($client->response->{body}, 'plain', 'and the next request');
}
{
    $position = length $nginx->log;
    my $client = RawClient->new($nginx->port);
    $client->send("GET /look/zeros HTTP/1.1\r\nHost: a\r\n\r\n");
    $client->more;
    is($nginx->get('/plain')->{content}, 'plain', 'others are served while a client is slow');
    my $seen = () = substr($nginx->log, $position) =~ /response-body \d+ while/g;
    cmp_ok($seen, '<', (16 << 20) / (32 << 10), 'no more is decoded than the client takes');
    ok($client->response->{body} eq $zeros, 'and all arrives');
}

# Of an upstream that says nothing more, nginx passes on the first buffer of 4 KiB. Those are more bytes than the sockets take,
# and less than proxy_busy_buffers_size: nginx alone would not go on when the client does.
{
    my $client = RawClient->new($up + 3);
    $client->send("GET /look/zeros-open HTTP/1.1\r\nHost: a\r\n\r\n");
    $client->take(qr/.*?\r\n\r\n/s);
    is($nginx->get('/plain')->{content}, 'plain', 'others are served meanwhile');
    my $count = 0;
    while ($count < 3_500_000) {
        my $size = $client->take(qr/[0-9a-f]+\r\n/) // last;
        $count += hex($size =~ s/\r\n//r);
        $client->take_bytes(2 + hex($size =~ s/\r\n//r)) // last;
    }
    cmp_ok($count, '>=', 3_500_000, 'a client that was slow, and an upstream that is silent: what there is arrives');
}

is($nginx->get('/plain')->{content}, 'plain', 'nginx serves at the end');
unlike($nginx->log, qr/\[(?:alert|emerg)\]|exited on signal/, 'no alert');
$nginx->stop;
unlike($nginx->log, qr/\[(?:alert|emerg)\]|open socket/, 'nothing is left when nginx ends');

done_testing;
