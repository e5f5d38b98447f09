# What nginx decides around the body of a request: filters that look at bodies leave it as it is.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;
use Upstream;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('early-refusal');
my $port  = $nginx->port;
Upstream->start($port + 1);
mkdir $nginx->prefix . "/$_" for 'www', 'www/dav', 'www/dav-upper', 'www/dav-hold';
$nginx->write("www/$_.html", 'page') for 'page', 'off', 'behind';
$nginx->write('users', "user:{PLAIN}pass\n");

$nginx->configure(
    main => "wasm { module bodies $root/build/guests/rust-bodies.wasm; module headers $root/build/guests/rust-headers.wasm; }",
    http => "client_max_body_size 1g; limit_req_zone \$server_name zone=req:1m rate=1r/m; limit_conn_zone \$server_name zone=conn:1m;
        proxy_wasm_request_body_buffer 16m;",
    server => qq{
        root @{[ $nginx->prefix ]}/www;
        proxy_wasm bodies 'quiet; request-body size';
        location /deny      { deny all; }
        location /basic     { auth_basic closed; auth_basic_user_file @{[ $nginx->prefix ]}/users; }
        location /asked     { auth_request /no; }
        location = /no      { internal; return 403; }
        location /limited   { limit_req zone=req; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location /methods   { limit_except GET { deny all; } }
        location /any       { satisfy any; deny all; auth_basic closed; auth_basic_user_file @{[ $nginx->prefix ]}/users; }
        location /return    { return 403; }
        location /filter    { proxy_wasm headers 'deny / 403'; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location /small     { client_max_body_size 10; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location /pages/    { client_max_body_size 10; error_page 413 /too-large; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location /other/    { client_max_body_size 10; error_page 413 /too-large-too; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location = /too-large     { return 413 page; }
        location = /too-large-too { proxy_wasm off; return 413 page; }
        location /body      { proxy_wasm bodies 'quiet; request-body respond-if word 403 found'; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location /answers   { proxy_wasm bodies 'quiet; request-end respond-if word 403 found'; return 200 ok; }
        location /rewritten { proxy_wasm bodies 'quiet; request-end respond-if word 403 found'; rewrite ^ /plain/count last; }
        location /held      { deny all; proxy_wasm_headers_stop_iteration on; proxy_wasm bodies 'quiet; request-headers hold; request-end respond-if word 418 found; request-end resume'; }
        location /plain     { proxy_wasm off; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location /allowed   { auth_request /yes; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
        location = /yes     { internal; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/status/204; proxy_pass_request_body off; proxy_set_header Content-Length ''; }
        location /dav       { dav_methods PUT; }
        location /dav-upper { proxy_wasm bodies 'quiet; request-body upper'; dav_methods PUT; }
        location /dav-hold  { proxy_wasm bodies 'quiet; request-body hold-until-end; request-end append !'; dav_methods PUT; }
        location /to-page   { deny all; error_page 403 /page.html; }
        location /to-off    { deny all; error_page 403 /off.html; }
        location /to-named  { deny all; error_page 403 \@named; }
        location /to-behind { deny all; error_page 403 /behind.html; }
        location = /off.html    { proxy_wasm off; }
        location = /behind.html { proxy_wasm_phase access; proxy_wasm bodies 'quiet; request-body size'; }
        location \@named    { proxy_wasm off; return 403 page; }
        location /asks      { deny all; proxy_wasm bodies 'quiet; request-end respond-if word 418 found'; error_page 403 /count; error_page 418 /found; }
        location = /count   { proxy_wasm off; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}; }
        location /elsewhere { deny all; proxy_wasm bodies 'quiet; request-end respond-if word 418 found'; error_page 403 = \@plain; }
        location \@plain    { proxy_wasm off; rewrite ^ /count break; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}; }
        location /streams   {
            proxy_wasm_request_body_buffer 1k; proxy_wasm bodies 'quiet; request-body respond 418 found';
            proxy_request_buffering off; try_files /none \@plain; proxy_pass http://127.0.0.1:@{[ $port + 1 ]};
        }
        location /file      { client_body_in_file_only clean; proxy_set_header X-File \$request_body_file; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/count; }
    },
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# The first line, when the body is on its way and the client waits to be told to send it, or not.
sub first_line {
    my ($path, $expect) = @_;
    my $client = RawClient->new($port);
    $client->send("POST $path HTTP/1.1\r\nHost: a\r\n" . ($expect ? "Expect: 100-continue\r\n" : '') . "Content-Length: 500000000\r\n\r\n");
    my $line = $client->take(qr/[^\r\n]*\r\n/) // 'nothing';
    $client->close;
    return $line =~ s/\r\n//r;
}
$nginx->request('POST', '/limited', {}, 'first');
my %first = (
    '/deny' => 403, '/basic' => 401, '/asked' => 403, '/limited' => 503, '/methods' => 403, '/any' => 403, '/return' => 403,
    '/filter' => 403, '/small' => 413,
    '/to-page' => 403, '/to-off' => 403, '/to-named' => 403, '/to-behind' => 403,
);
for my $path (sort keys %first) {
    for my $expect (0, 1) {
        my $wanted = $path eq '/any' ? qr/^HTTP\/1\.1 40[13] / : qr/^HTTP\/1\.1 $first{$path} /;
        like first_line($path, $expect), $wanted, "$path: refused at once" . ($expect ? ', and nobody is told to go on' : '');
    }
}
like first_line('/body', 1), qr/^HTTP\/1\.1 100 /, 'a body that is wanted is asked for';

for my $size (0, 500, 3_000, 60_000, 5_000_000) {
    my $body = 'x' x $size;
    is $nginx->request('POST', '/allowed', {}, $body)->{content}, $size, "auth_request: a body of $size bytes goes on";
    is $nginx->request('POST', '/body', {}, $body . 'word')->{status}, 403, "a word behind $size bytes is found";
    is $nginx->request('POST', '/rewritten', {}, $body . 'word')->{status}, 403, "the same where the location is left";
    is $nginx->request('POST', '/answers', {}, $body . 'word')->{status}, 403, "the same in front of return, behind $size bytes";
    is $nginx->request('POST', '/answers', {}, $body)->{content}, 'ok', "return answers, behind $size bytes";
    is $nginx->request('POST', '/rewritten', {}, $body)->{content}, $size, "a body of $size bytes goes on where the location is left";
    is $nginx->request('POST', '/file', {}, $body)->{content}, $size, "a body of $size bytes goes on from its file";
    for my $put ([dav => $body], ['dav-upper' => uc $body], ['dav-hold' => "$body!"]) {
        my ($place, $wanted) = @$put;
        is $nginx->request('PUT', "/$place/$size", {}, $body)->{status}, 201, "/$place: PUT of $size bytes";
        # A body that is not there has no end to be shown.
        $wanted = '' if $size == 0;
        is $nginx->read("www/$place/$size"), $wanted, "/$place: the file of $size bytes";
    }
}

# nginx finds out while the body is read that it is too large: the page of that error has other filters, or the same ones.
for my $path ('/pages/', '/other/') {
    my $client = RawClient->new($port);
    $client->send("POST $path HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    # nginx waits for it now.
    $client->take(qr/HTTP\/1\.1 100 [^\r\n]*\r\n\r\n/);
    $client->send(map { sprintf "%x\r\n%s\r\n", 4096, 'x' x 4096 } 1 .. 4);
    my $response = $client->response;
    is "$response->{status} $response->{body}", '413 page', "$path: the page of a body in chunks that is too large";
    $client->close;
}

# A filter that holds the headers sees the body, whoever refuses the request then.
is $nginx->request('POST', '/held', {}, 'a word')->{status}, 418, 'a filter that holds the headers for the body decides before the access phase';
is $nginx->request('POST', '/held', {}, 'none')->{status}, 403, 'and leaves the rest to it';

# The page of a refusal, when the client has sent the body nevertheless.
for my $path ('/to-page', '/to-off', '/to-named', '/to-behind') {
    my $client = RawClient->new($port);
    $client->send("POST $path HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 'x' x 70_000, "GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n");
    my $response = $client->response;
    is "$response->{status} $response->{body}", '403 page', "$path: the page";
    is $client->response->{body}, 'page', "$path: and the next request";
    $client->close;
}

# Who reads the body behind a refusal, or elsewhere, reads none that the filters have not seen.
for my $path ('/asks', '/elsewhere') {
    isnt $nginx->request('POST', $path, {}, 'no w' . 'ord')->{content}, 7, "$path: a body that the filter refuses goes nowhere";
    is $nginx->request('POST', $path, {}, 'others')->{content}, 6, "$path: another one does";
}
is $nginx->request('POST', '/streams', {}, 'x' x 10_000)->{status}, 418, 'a handler that streams leads elsewhere: the filters see the body before that';

unlike $nginx->log, qr/\[alert\]|\[crit\]|exited on signal/, 'nothing is wrong in the log';
done_testing;
