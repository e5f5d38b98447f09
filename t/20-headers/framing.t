# What filters do to a request or a response must not change how messages are told apart on the client's connection. Each
# check sends a request that a filter works on, and another one behind it on the same connection: its response must begin
# right where the first one ends.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $upstream = $ENV{TEST_NGINX_PORT} + 1;
my $nginx    = NginxProcess->new('framing');

my %handlers = (
    return => 'return 200 "the body\n";',
    file   => 'try_files /body.txt =404;',
    proxy  => "proxy_pass http://127.0.0.1:$upstream;",
    local  => "proxy_wasm probe 'respond 200 the_body';",
);
my $locations = '';
for my $handler (sort keys %handlers) {
    for my $status (204, 304, 200, 404) {
        $locations .= "location /status/$handler/$status { proxy_wasm probe '\@response replace response :status $status'; $handlers{$handler} }\n";
    }
    $locations .= "location /length/$handler/longer { proxy_wasm probe '\@response replace response content-length 90'; $handlers{$handler} }\n";
    $locations .= "location /length/$handler/shorter { proxy_wasm probe '\@response replace response content-length 3'; $handlers{$handler} }\n";
    $locations .= "location /length/$handler/none { proxy_wasm probe '\@response remove response content-length'; $handlers{$handler} }\n";
    $locations .= "location /length/$handler/chunked { proxy_wasm probe '\@response add response transfer-encoding chunked'; $handlers{$handler} }\n";
}
for my $handler (sort keys %handlers) {
    for my $method (qw( GET HEAD POST )) {
        $locations .= "location /$handler/$method { proxy_wasm probe 'replace request :method $method'; $handlers{$handler} }\n";
    }
}
$nginx->write('body.txt', "the body\n");
$nginx->configure(
    main   => "wasm { module probe $root/build/guests/rust-probe.wasm; }",
    http   => "server { listen 127.0.0.1:$upstream; location / { return 200 \"the body\\n\"; } }",
    server => "root @{[ $nginx->prefix ]};\n$locations\nlocation /next { return 200 next; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# All that comes back on a connection with these two requests.
sub answers {
    my ($method, $path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!";
    print $socket "$method $path HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    local $/;
    return <$socket>;
}

# Whether these bytes are one complete response to a request with this method, and then that of /next.
sub well_framed {
    my ($method, $all) = @_;
    my ($head, $rest) = split /\r\n\r\n/, $all, 2;
    my $next = qr{HTTP/1\.1 200 [^\n]*\r\n(?:[^\r\n]+\r\n)*\r\nnext\z};
    return $rest =~ /\A$next/ if $method eq 'HEAD' || $head =~ m{^HTTP/1\.1 (?:204|304) };
    return $rest =~ /\A(?:[0-9a-f]+\r\n.*?\r\n)*0\r\n\r\n$next/s if $head =~ /^transfer-encoding: chunked/mi;
    # A response that nginx cannot complete ends the connection, and nothing comes behind it.
    return 1 if $head =~ /^connection: close/mi || $rest !~ /HTTP/;
    my ($length) = $head =~ /^content-length: (\d+)/mi;
    return defined $length && length $rest > $length && substr($rest, $length) =~ /\A$next/;
}

# A filter changes :method: who asked with HEAD gets no body, and who asked with another method all that is announced.
for my $handler (sort keys %handlers) {
    for my $to (qw( GET HEAD POST )) {
        for my $from (qw( GET HEAD POST )) {
            my $all = answers($from, "/$handler/$to");
            ok(well_framed($from, $all), "$handler: $from that becomes $to") or diag $all;
        }
    }
}

# A filter changes :status to one that has no body, and to others.
for my $handler (sort keys %handlers) {
    for my $status (204, 304, 200, 404) {
        for my $method (qw( GET HEAD )) {
            my $all = answers($method, "/status/$handler/$status");
            like($all, qr{\AHTTP/1\.1 $status }, "$handler: $method, status $status");
            ok(well_framed($method, $all), "$handler: $method, status $status: framing") or diag $all;
        }
    }
}

# A filter gives another content-length than the body has.
for my $handler (sort keys %handlers) {
    for my $length (qw( longer shorter none chunked )) {
        for my $method (qw( GET HEAD )) {
            my $all = answers($method, "/length/$handler/$length");
            ok(well_framed($method, $all), "$handler: $method, content-length $length") or diag $all;
        }
    }
}

done_testing;
