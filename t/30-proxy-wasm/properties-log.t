# What on_log sees: the final status, headers, sizes, durations and causes, for every way in which a request ends.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('properties-log');
my $http2 = $nginx->port + 1;
my $probe = join '; ', map {"\@log property $_"} qw(
    request|size request|total_size request|headers_bytes request|duration
    response|code response|size response|total_size response|headers_bytes response|headers|content-length
    response|headers|content-type response|code_details response|flags ngx.body_bytes_sent
), '';

$nginx->write('long.txt', 'abcdefghij' x 5000);
my $locations = "
        proxy_wasm probe '$probe';
        root @{[ $nginx->prefix ]};
        location /plain { return 200 'plain text'; }
        location /gone { error_page 404 /page; return 404; }
        location /page { internal; return 404 'a page'; }
        location /local {
            proxy_wasm probe '$probe';
            proxy_wasm headers 'deny / 418';
        }
        location /changed {
            proxy_wasm probe '$probe';
            proxy_wasm headers 'response.replace :status 299; response.replace content-type text/changed';
            return 200 'changed';
        }
        location = /long.txt { gzip off; }
        location /gzip {
            alias @{[ $nginx->prefix ]}/long.txt;
            default_type text/html;
            gzip on;
            gzip_http_version 1.0;
        }
        location /echo { proxy_pass http://127.0.0.1:@{[ $nginx->port ]}/unseen; }
        location /unseen { proxy_wasm off; return 200 ok; }
        location /refused { proxy_pass http://127.0.0.1:1; }
        location /waits {
            proxy_wasm probe '$probe; log info waiting; pause';
            return 200;
        }";

$nginx->configure(
    main   => "wasm { module probe $root/build/guests/rust-probe.wasm; module headers $root/build/guests/rust-headers.wasm; }",
    server => $locations,
    http => "server { listen 127.0.0.1:$http2 http2; $locations }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# The bytes that the guest shows.
sub bytes {
    return $_[0] =~ s/\\x(..)/chr hex $1/ger;
}

# Properties that the request with this text in its log entries left: numbers as numbers, what is not there as undef.
sub logged {
    my ($position) = @_;
    $nginx->wait_for('the log phase', sub { substr($nginx->log, $position) =~ /ngx\.body_bytes_sent -> .*\n/ });
    my %property;
    for (split /\n/, substr $nginx->log, $position) {
        my ($path, $status, $value) = /probe: property (\S+) -> (\d+)(?: (.*?))?(?: while logging request)?, client:/ or next;
        $value = $status ? undef : bytes($value // '');
        my $is_number = $path =~ /size|bytes$|duration|code$|flags/ && $path !~ /^ngx/;
        $value = unpack 'q<', $value if $is_number && defined $value;
        $property{$path} = $value;
    }
    return \%property;
}

# Sends a request on a connection of its own, reads all of the answer, and gives header and body, and what was logged.
sub ask {
    my ($request) = @_;
    my $position = length $nginx->log;
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!";
    print $client $request;
    local $/;
    my ($header, $body) = split /\r\n\r\n/, <$client>, 2;
    return ($header, $body, logged($position));
}

sub get {
    my ($path, $more) = @_;
    return ask("GET $path HTTP/1.0\r\n" . ($more // '') . "\r\n");
}

{
    my ($header, $body, $log) = get('/plain');
    is($log->{'response|code'}, 200,         'a page: status');
    is($log->{'response|size'}, length $body, '... size is that of the body');
    my $fields = length ':status200content-typetext/plaincontent-length10';
    is($log->{'response|headers_bytes'}, $fields,               '... of the headers, names and values count');
    is($log->{'response|total_size'},    $fields + length $body, '... total_size is both');
    cmp_ok($log->{'request|duration'}, '>=', 0, '... a duration');
    cmp_ok($log->{'request|duration'}, '<', 30e9, '... in nanoseconds');
    is($log->{'response|code_details'}, 'direct_response', '... made by nginx');
}

{
    my ($header, $body, $log) = ask("HEAD /plain HTTP/1.0\r\n\r\n");
    is($body, '', 'HEAD: no body');
    is($log->{'response|size'}, 0, '... so its size is 0');
    is($log->{'response|headers|content-length'}, 10, '... whatever length is announced');
}

{
    my ($header, $body, $log) = get('/gone');
    is($log->{'response|code'}, 404,           'an error page: the status');
    is($log->{'response|size'}, length 'a page', '... and the size of the page');
    is($log->{'response|headers|content-type'}, 'text/plain', '... and its headers');
}

{
    my ($header, $body, $log) = get('/none');
    is($log->{'response|code'}, 404,          'an error page that nginx has built in: the status');
    is($log->{'response|size'}, length $body, '... and the size');
    is($log->{'response|headers|content-type'}, 'text/html', '... and its headers');
}

{
    my ($header, $body, $log) = get('/local');
    is($log->{'response|code'}, 418,          'a response of a filter: the status');
    is($log->{'response|size'}, length $body, '... and the size');
    isnt($log->{'response|code_details'}, 'direct_response', '... and where it comes from');
}

{
    my ($header, $body, $log) = get('/changed');
    is($log->{'response|code'}, 299, 'a response that a filter changed: the status that went out');
    is($log->{'response|headers|content-type'}, 'text/changed', '... and the headers');
}

{
    my ($header, $body, $log) = get('/long.txt');
    is(length $body, 50_000, 'a file');
    is($log->{'response|size'}, 50_000, '... size');
}

{
    my ($header, $body, $log) = get('/gzip', "Accept-Encoding: gzip\r\n");
    like($header, qr/Content-Encoding: gzip/, 'a compressed response');
    cmp_ok(length $body, '<', 5000, '... is smaller');
    is($log->{'response|size'}, length $body, '... size is what went out');
}

{
    my ($header, $body, $log) = ask("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345");
    is($log->{'request|size'}, 5, 'a request with a body: size');
    is($log->{'request|total_size'}, $log->{'request|headers_bytes'} + 5, '... total_size counts the headers too');
    is($log->{'response|code_details'}, 'via_upstream', '... proxied');
}

{
    my ($header, $body, $log) = get('/refused');
    is($log->{'response|code'}, 502, 'an upstream that is not there: the status');
    is($log->{'response|flags'}, 0x20, '... and the cause');
}

{
    my $position = length $nginx->log;
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!";
    print $client "GET /waits HTTP/1.1\r\nHost: a\r\n\r\n";
    $nginx->wait_for('the pause', sub { substr($nginx->log, $position) =~ /probe": waiting/ });
    close $client;
    my $log = logged($position);
    is($log->{'response|code'}, 499, 'a client that leaves: nginx\'s status for it');
    is($log->{'response|size'}, 0, '... nothing was sent');
    is($log->{'response|code_details'}, 'downstream_remote_disconnect', '... and the cause, in words');
    is($log->{'response|flags'}, 0x4000, '... and in bits');
}

SKIP: {
    skip 'curl speaks no HTTP/2', 3 if qx(curl --version) !~ /HTTP2/;
    for my $path ('/plain', '/long.txt', '/gzip') {
        my $position = length $nginx->log;
        my $body = qx(curl -sS --http2-prior-knowledge -H 'accept-encoding: gzip' http://127.0.0.1:$http2$path);
        is(logged($position)->{'response|size'}, length $body, "HTTP/2, $path: size is that of the body, without the frames");
    }
}

$nginx->stop;
done_testing;
