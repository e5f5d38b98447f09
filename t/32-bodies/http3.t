# Filters over HTTP/3, where nginx has it and curl can ask for it: headers, bodies, pauses, trailers, local responses, a client that
# leaves.

use strict;
use warnings;

use NginxProcess;
use Peer;
use Test::More;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
plan skip_all => 'nginx has no HTTP/3' unless qx($ENV{TEST_NGINX_BINARY} -V 2>&1) =~ /--with-http_v3_module/;
plan skip_all => 'curl has no HTTP/3' unless qx(curl -V) =~ /\bHTTP3\b/;
plan skip_all => 'the engine runs no programs, and one of them is the upstream' unless Engine::can_do('programs');

my $nginx = NginxProcess->new('http3');
my ($dir, $port) = ($nginx->prefix, $nginx->port);
Peer->certificates("$dir/tls");
$nginx->configure(
    main => "wasm {
        module headers $root/build/guests/rust-headers.wasm;
        module bodies  $root/build/guests/rust-bodies.wasm;
        module program $root/build/guests/rust-program.wasm;
    }",
    http   => "ssl_certificate tls/server.crt; ssl_certificate_key tls/server.key; client_body_buffer_size 1k;",
    server => "
        listen 127.0.0.1:$port quic;
        location = /headers  { proxy_wasm headers 'request.add x-in yes; response.add x-hello world'; return 200 \"\$http_x_in \$server_protocol\\n\"; }
        location = /upper    { proxy_wasm bodies 'request-body upper; request-end append !'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /held     { proxy_wasm bodies 'tick 20; request-body hold; request-end at-tick append !; request-end at-tick resume'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /streamed { proxy_request_buffering off; proxy_http_version 1.1; proxy_wasm bodies 'tick 20; request-body hold; request-end at-tick append !; request-end at-tick resume'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /response { proxy_wasm bodies 'tick 20; response-body hold; response-body upper; response-end at-tick resume'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /trailers { proxy_wasm bodies 'response-headers remove response content-length; response-end add response-trailers x-sum 1'; return 200 'body'; }
        location = /answer   { proxy_wasm bodies 'request-end respond 403 refused'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /early    { proxy_wasm bodies 'request-headers respond 403 refused'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /midway   { proxy_request_buffering off; proxy_http_version 1.1; proxy_wasm bodies 'request-body #2 respond 403 midway'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /small    { client_max_body_size 1k; proxy_wasm bodies 'request-body upper'; proxy_pass http://127.0.0.1:$port/echo; }
        location = /forever  { proxy_wasm bodies 'request-body hold; request-end hold'; proxy_pass http://127.0.0.1:$port/echo; }
        location /program/ { wasm_cgi program; }
        location = /echo     { wasm_cgi program; wasm_arg echo; }
    ",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# What curl shows of a response: its headers, its body, and its trailers.
sub ask {
    my ($path, @options) = @_;
    open my $curl, '-|', 'curl', '-sS', '-i', '--http3-only', '--max-time', '20', '--cacert', "$dir/tls/ca.crt", @options, "https://localhost:$port$path"
        or die "curl: $!";
    local $/;
    my $answer = <$curl> // '';
    close $curl;
    return $answer =~ s/\r\n/\n/gr;
}

{
    my $answer = ask('/headers');
    like($answer, qr{^HTTP/3 200}, 'it is HTTP/3');
    like($answer, qr/^x-hello: world$/m, 'a header of the response');
    like($answer, qr{^yes HTTP/3\.0$}m, 'one of the request');
}
my $large = join '', map { chr(ord('a') + $_ % 26) x 100 } 1 .. 2000;
$nginx->write('large', $large);
like(ask('/upper', '-d', 'hello'), qr/\n\nHELLO!\z/, 'a body, changed');
ok(ask('/upper', '--data-binary', "\@$dir/large") =~ s/.*?\n\n//sr eq uc($large) . '!', 'a large one');
like(ask('/held', '-d', 'hello'), qr/\n\nhello!\z/, 'a request that is held until a tick');
ok(ask('/held', '--data-binary', "\@$dir/large") =~ s/.*?\n\n//sr eq "$large!", 'a large one');
like(ask('/streamed', '-d', 'hello'), qr/\n\nhello!\z/, 'a request that is streamed, and held until a tick');
ok(ask('/streamed', '--data-binary', "\@$dir/large") =~ s/.*?\n\n//sr eq "$large!", 'a large one');
ok(ask('/response', '--data-binary', "\@$dir/large") =~ s/.*?\n\n//sr eq uc($large), 'a large response that is held until a tick');
like(ask('/trailers'), qr/\n\nbody\n?x-sum: 1\s*\z/, 'trailers that a filter adds');
{
    my $answer = ask('/answer', '-d', 'hello');
    like($answer, qr{^HTTP/3 403}, 'a local response');
    like($answer, qr/^x-answered: /m, 'with its header');
    like($answer, qr/\n\nrefused\z/, 'and its body');
}
# Refusals while the client still sends. What curl shows then depends on what it has sent, also with nginx alone: the access log tells.
for my $case (['/early', 403], ['/midway', 403], ['/small', 413]) {
    my ($path, $status) = @$case;
    ask($path, '-s', '--no-show-error', '--data-binary', "\@$dir/large");
    $nginx->wait_for("the request to $path", sub { $nginx->read('logs/access.log') =~ /"POST \Q$path\E HTTP/ });
    my @statuses = $nginx->read('logs/access.log') =~ /"POST \Q$path\E HTTP\/3\.0" (\d+)/g;
    is_deeply(\@statuses, [$status], "$path: a body that is refused");
}
{
    my $answer = ask('/early', '-d', 'hello', "https://localhost:$port/upper", "https://localhost:$port/held");
    my @statuses = $answer =~ m{HTTP/3 (\d+)}g;
    is("@statuses", '200 200 403', 'requests behind each other on one connection');
    is(() = $answer =~ /HELLO!|hello!/g, 2, 'with their bodies');
}
like(ask('/program/env?name=SERVER_PROTOCOL'), qr{SERVER_PROTOCOL=HTTP/3\.0\n\z}, 'a program');

# A client that leaves while its request is held.
ask('/forever', '-d', 'hello', '-s', '--no-show-error', '--max-time', '0.5') for 1 .. 3;
like(ask('/headers'), qr/^x-hello: world$/m, 'and on, behind clients that have left');
is_deeply([$nginx->workers], [$worker], 'the worker is the same');
is_deeply([grep {/\[(?:alert|emerg|crit)\]|bug in the module/} split /\n/, $nginx->log], [], 'nothing bad is in the error log');
$nginx->stop;
done_testing;
