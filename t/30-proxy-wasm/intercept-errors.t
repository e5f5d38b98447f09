# proxy_wasm_intercept_errors: nginx's error_page in the place of what filters answer, wherever they do.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;
use Upstream;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $up       = $ENV{TEST_NGINX_PORT} + 1;
my $upstream = Upstream->start($up);
my $nginx    = NginxProcess->new('intercept-errors');
my $prefix   = $nginx->prefix;
my $guests   = "$root/build/guests";
my $lua      = $ENV{TEST_WASM_LUA};

# Where a filter answers, and by what.
my %ways = (
    'request'          => "request-headers respond 403 no",
    'request-body'     => "request-body respond 403 no",
    'request-tick'     => "tick 20; request-headers hold; request-headers at-tick respond 403 no",
    'response'         => "response-headers respond 403 no",
    'response-tick'    => "tick 20; response-headers hold; response-headers at-tick respond 403 no",
    'body'             => "response-body respond 403 no",
    'body-until-end'   => "response-body hold-until-end; response-end respond 403 no",
    'body-tick'        => "tick 20; response-body hold; response-body #1 at-tick respond 403 no",
);
my %handlers = (
    'return'     => 'return 200 hello;',
    'file'       => "alias $prefix/file.txt;",
    'large-file' => "alias $prefix/large.txt;",
    'buffered'   => "proxy_pass http://127.0.0.1:$up/length/3/5;",
    'unbuffered' => "proxy_pass http://127.0.0.1:$up/length/3/5; proxy_buffering off;",
    'streamed'   => "proxy_pass http://127.0.0.1:$up/length/3/5; proxy_request_buffering off; proxy_http_version 1.1;",
    'large'      => "proxy_pass http://127.0.0.1:$up/length/600/1000;",
    'empty'      => "proxy_pass http://127.0.0.1:$up/status/204;",
    $lua ? (lua => "content_by_lua_block { ngx.header.content_length = 5 ngx.print('he') ngx.print('llo') }") : (),
);
# What the page is.
my %pages = (
    'text'     => ['= /page-text',  'own page'],
    'upstream' => ['= /page-up',    'aaaaabbbbb'],
    'named'    => ['@named',        'named page'],
    'filtered' => ['= /page-other', 'ANOTHER FILTER'],
);
my $locations = '';
for my $page (sort keys %pages) {
    my $uri = $pages{$page}[0] =~ s/^= //r;
    for my $way (sort keys %ways) {
        for my $handler (sort keys %handlers) {
            $locations .= "location = /$page/$way/$handler {
                error_page 403 $uri; proxy_wasm bodies '$ways{$way}'; $handlers{$handler}
            }\n";
        }
    }
}
$nginx->write('file.txt',  'a file');
$nginx->write('large.txt', join '', map {"line $_\n"} 1 .. 50_000);
$nginx->configure(
    main => "wasm { module bodies $guests/rust-bodies.wasm; module headers $guests/rust-headers.wasm;
                    module probe $guests/rust-probe.wasm; module lifecycle $guests/rust-lifecycle.wasm; }",
    server => "
        proxy_wasm_intercept_errors on;
        $locations
        location = /page-text  { internal; proxy_wasm off; return 200 'own page'; }
        location = /page-up    { internal; proxy_wasm off; proxy_pass http://127.0.0.1:$up/length/2/5; }
        location = /page-other { internal; proxy_wasm bodies 'response-body upper'; return 200 'another filter'; }
        location \@named       { proxy_wasm off; return 200 'named page'; }

        location /off     { proxy_wasm_intercept_errors off; error_page 403 /page-text; proxy_wasm headers 'deny / 403'; return 204; }
        location /other   { error_page 404 /page-text; proxy_wasm headers 'deny / 403'; return 204; }
        location /no-page { proxy_wasm headers 'deny / 403'; return 204; }
        location /status  { error_page 403 =200 /page-text; proxy_wasm headers 'deny / 403'; return 204; }
        location /away    { error_page 403 =303 http://elsewhere/; proxy_wasm headers 'deny / 403'; return 204; }
        location /timeout { error_page 408 /page-text; proxy_wasm headers 'deny / 408'; return 204; }
        location /late-away {
            error_page 403 =303 http://elsewhere/; proxy_wasm bodies 'response-headers respond 403 no';
            proxy_pass http://127.0.0.1:$up/length/600/1000;
        }
        location /login {
            error_page 401 /page-text; proxy_wasm probe '\@request answer 401 -1 www-authenticate=Basic,x-other=1 no'; return 204;
        }
        location /late-login {
            error_page 401 /page-text; proxy_wasm probe '\@response answer 401 -1 www-authenticate=Basic,x-other=1 no'; return 204;
        }
        location /loop    { error_page 403 /loop/page; proxy_wasm headers 'deny / 403'; return 204;
            location /loop/page { proxy_wasm headers 'deny / 403'; return 204; }
        }
        location /late-loop { error_page 403 /late-loop/page; proxy_wasm bodies 'response-headers respond 403 no'; return 200 hello;
            location /late-loop/page { proxy_wasm bodies 'response-headers respond 403 again'; return 200 page; }
        }
        location /recursive/a { error_page 403 /recursive/b; recursive_error_pages on; proxy_wasm headers 'deny / 403'; return 204; }
        location /recursive/b { error_page 403 /recursive/a; recursive_error_pages on; proxy_wasm headers 'deny /r 403'; return 204; }
        location /same {
            error_page 403 /same/page; proxy_wasm bodies 'response-headers respond 403 no; response-body upper'; return 200 hello;
            location /same/page { return 200 'own page'; }
        }
        location /unseen {
            error_page 403 /unseen/page; return 204;
            proxy_wasm bodies 'request-headers respond 403 no'; proxy_wasm lifecycle;
            location /unseen/page { return 200 'own page'; }
        }
        location /grpc    { error_page 403 /page-text; proxy_wasm headers 'deny / 403'; return 204; }
        location /failed  { error_page 503 /page-text; proxy_wasm bodies 'response-headers trap'; return 200 hello; }
        location /large   { error_page 500 /page-text; proxy_wasm_response_body_buffer 10; proxy_wasm bodies 'response-body hold'; return 200 12345678901; }
        location /waited  { error_page 504 /page-text; wasm_pause_timeout 50ms; proxy_wasm bodies 'response-headers hold';
                            proxy_pass http://127.0.0.1:$up/length/3/5; }
        location /waited-request { error_page 504 /page-text; wasm_pause_timeout 50ms; proxy_wasm bodies 'request-headers hold'; return 204; }
        location /plain   { proxy_wasm off; return 200 plain; }
        "
        . ($lua ? "location /lua-yields {
            error_page 403 /page-text; proxy_wasm bodies 'response-headers respond 403 no';
            content_by_lua_block { ngx.header.content_length = 5 ngx.print('he') ngx.sleep(0.05) ngx.print('llo') }
        }" : ''),
);
$nginx->start or die("nginx does not start: $nginx->{output}");

my $position = 0;

# A request, and one behind it on the same connection.
sub fetch {
    my ($path, %option) = @_;
    my $method  = $option{method} // 'GET';
    my $headers = join '', map {"$_\r\n"} @{ $option{headers} // [] };
    my $body    = $option{body} // '';
    $headers .= 'Content-Length: ' . length($body) . "\r\n" if length $body;
    $position = length $nginx->log;
    my $client = RawClient->new($nginx->port);
    $client->send("$method $path HTTP/1.1\r\nHost: a\r\n$headers\r\n$body", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    my $response = $client->response(no_body => $method eq 'HEAD');
    return ($response // { status => 0, headers => {}, body => '' }, $client);
}

sub told { my $response = shift; return "$response->{status} $response->{body}" }

for my $page (sort keys %pages) {
    my $text = $pages{$page}[1];
    for my $way (sort keys %ways) {
        for my $handler (sort keys %handlers) {
            next if $handler eq 'empty' && $way =~ /^body/;
            my $name = "$way, $handler, page $page";
            my ($response, $client) = fetch("/$page/$way/$handler", $way eq 'request-body' ? (method => 'POST', body => 'a=1') : ());
            is(told($response), "403 $text", "$name: the page, with the status of the answer");
            is($response->{headers}{'x-answered'}, undef, "$name: nothing of the answer");
            is($client->response->{body}, 'plain', "$name: the next request")
                unless $way eq 'request-body' && $handler eq 'streamed';
        }
    }
}
for my $way (qw( request response body )) {
    my ($response, $client) = fetch("/text/$way/buffered", method => 'HEAD');
    # No body: the filter is not asked about one.
    is($response->{status}, $way eq 'body' ? 200 : 403, "$way: HEAD");
    is($response->{headers}{'content-length'}, $way eq 'body' ? 15 : 8, "$way: HEAD: the length of the page");
    is($client->response->{body}, 'plain', "$way: HEAD: the next request");
}

# What stays as it is.
for ([off => 403], [other => 403], ['no-page' => 403], [timeout => 408]) {
    my ($path, $status) = @$_;
    my ($response, $client) = fetch("/$path");
    is(told($response), "$status denied by rust\n", "$path: the filter's own answer");
    is($client->response->{body}, 'plain', "$path: the next request");
}
{
    my ($response) = fetch('/grpc', headers => ['Content-Type: application/grpc']);
    is("$response->{status} $response->{headers}{'grpc-status'}", '200 7', 'an answer to gRPC');
}

is(told((fetch('/status'))[0]), '200 own page', 'error_page 403 =200');
for my $path (qw( /away /late-away )) {
    my ($response, $client) = fetch($path);
    is("$response->{status} $response->{headers}{location}", '303 http://elsewhere/', "$path: a redirect");
    is($client->response->{body}, 'plain', "$path: the next request");
}
for my $path (qw( /login /late-login )) {
    my ($response) = fetch($path);
    is(told($response), '401 own page', "$path: the page");
    is($response->{headers}{'www-authenticate'}, 'Basic', "$path: how to log in stays");
    is($response->{headers}{'x-other'}, undef, "$path: the rest does not");
}

# Answers about the page itself.
is(told((fetch('/loop'))[0]), "403 denied by rust\n", 'a filter that denies the page, too: its answer');
is(told((fetch('/late-loop'))[0]), '403 again', 'the same in responses');
is((fetch('/recursive/a'))[0]{status}, 500, 'recursive_error_pages: nginx ends the circle');
is(told((fetch('/same'))[0]), '403 own page', 'the same filters: they have answered, and do not see the page');
{
    my ($response) = fetch('/unseen');
    is(told($response), '403 own page', 'a page below filters of which one has not seen the request');
    unlike(substr($nginx->log, $position), qr/on_response_headers/, 'which does not see the page either');
}

# Failures.
for ([failed => 503], [large => 500], [waited => 504], ['waited-request' => 504]) {
    my ($path, $status) = @$_;
    my ($response, $client) = fetch("/$path");
    is(told($response), "$status own page", "$path: the page");
    # nginx closes after its page for 500.
    is($client->response->{body}, 'plain', "$path: the next request") unless $status == 500;
}

# A handler that goes on by itself cannot be stopped.
if ($lua) {
    my ($response, $client) = fetch('/lua-yields');
    is(told($response), '403 no', 'Lua that waits in the middle of its response: the filter\'s own answer');
    is($client->response->{body}, 'plain', 'and the next request');
}

is($nginx->get('/plain')->{content}, 'plain', 'nginx serves at the end');
unlike($nginx->log, qr/\[(?:alert|emerg)\]|exited on signal/, 'no alert');
$nginx->stop;
unlike($nginx->log, qr/\[(?:alert|emerg)\]|open socket/, 'nothing is left when nginx ends');

done_testing;
