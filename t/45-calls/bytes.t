# Which bytes a call can have in its path, query, headers and authority: all that nginx passes on from clients, as it passes
# them on. What cannot be sent is a call that fails, and no status.

use strict;
use warnings;

use Test::More;

use HeadServer;
use NginxProcess;
use RawClient;

# The body of a request is the list of headers of the call, as the ABI encodes it; the configuration is the name of the
# service. The answer is 200 with the body of the call's answer, 504 with the reason why there is none, or 500 and the status
# of proxy_http_call.
my $guest = <<'WAT';
(module
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_status" (func $status (param i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 64)
  (global $stream (mut i32) (i32.const 0))
  (global $target (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $get (i32.const 7) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 4)))
    (memory.copy (i32.const 1024) (i32.const 65536) (local.get 1))
    (global.set $target (local.get 1))
    (i32.const 1))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (local $failed i32)
    (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
    (global.set $stream (local.get 0))
    (drop (call $get (i32.const 0) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 4)))
    (local.set $failed (call $call (i32.const 1024) (global.get $target) (i32.load (i32.const 0)) (i32.load (i32.const 4))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 20000) (i32.const 8)))
    (if (local.get $failed) (then (drop (call $answer (i32.add (i32.const 500) (local.get $failed)) (i32.const 0) (i32.const 0)
      (i32.const 1024) (global.get $target) (i32.const 0) (i32.const 0) (i32.const -1)))))
    (i32.const 1))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $effective (global.get $stream)))
    (if (i32.eqz (local.get 2))
      (then
        (drop (call $status (i32.const 8) (i32.const 0) (i32.const 4)))
        (drop (call $answer (i32.const 504) (i32.const 0) (i32.const 0) (i32.load (i32.const 0)) (i32.load (i32.const 4))
          (i32.const 0) (i32.const 0) (i32.const -1))))
      (else
        (drop (call $get (i32.const 4) (i32.const 0) (local.get 3) (i32.const 0) (i32.const 4)))
        (drop (call $answer (i32.const 200) (i32.const 0) (i32.const 0) (i32.load (i32.const 0)) (i32.load (i32.const 4))
          (i32.const 0) (i32.const 0) (i32.const -1)))))))
WAT

my $upstream = HeadServer->new;
my $nginx    = NginxProcess->new('calls-bytes');
my $is_strict = $nginx->version >= 1_029_003;
my $http2    = $nginx->port + 1;
$nginx->write('caller.wat', $guest);
$nginx->configure(
    main => 'wasm { module caller caller.wat; }',
    http => <<"CONF",
large_client_header_buffers 4 128k;
ignore_invalid_headers off;
upstream service { server 127.0.0.1:@{[ $upstream->port ]}; }
upstream http2 { server 127.0.0.1:$http2; }
server { listen 127.0.0.1:$http2 http2; location / { return 200 "\$request_uri\\n\$http_x\\n\$http_host\\n\$host\\n"; } }
CONF
    server => <<'CONF',
location = /call { proxy_wasm caller service; return 200 "not called\n"; }
location = /call2 { proxy_wasm caller http2; wasm_call_http_version 2; return 200 "not called\n"; }
location = /nobody { proxy_wasm caller nobody.invalid; return 200 "not called\n"; }
location / { proxy_pass http://service; proxy_set_header Host $http_host; }
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub pairs {
    my @pairs = @_;
    my ($sizes, $content) = ('', '');
    while (my ($name, $value) = splice @pairs, 0, 2) {
        $sizes   .= pack 'VV', length $name, length $value;
        $content .= "$name\0$value\0";
    }
    return pack('V', @_ / 2) . $sizes . $content;
}

# Status and body of a call with these headers.
sub made {
    my ($path, @headers) = @_;
    my $response = $nginx->request('POST', $path, {}, pairs(@headers));
    return ($response->{status}, $response->{content});
}

# What a service got: the target, and the values of "x" and "host".
sub parts {
    my $head = shift;
    my ($target) = $head =~ /\A\S+ (.*?) HTTP\/1\.[01]\r\n/s;
    my ($x)      = $head =~ /\r\nx: ?(.*?)\r\n/is;
    my ($host)   = $head =~ /\r\nhost: ?(.*?)\r\n/is;
    return { target => $target, x => $x, host => $host };
}

# The same by nginx, from a client's own request; nothing when it refuses that.
sub proxied {
    my ($target, $x, $host) = @_;
    my $client   = RawClient->new($nginx->port);
    my $response = $client->send("GET $target HTTP/1.1\r\nHost: $host\r\nX: $x\r\nConnection: close\r\n\r\n")->response;
    return undef unless $response && $response->{status} == 200 && $response->{headers}{'x-connection'};
    return parts($response->{body});
}

my %kind = (
    path  => sub { my $byte = shift; return ("/p${byte}41", 'x', 'h') },
    query => sub { my $byte = shift; return ("/p?q=${byte}41", 'x', 'h') },
    value => sub { my $byte = shift; return ('/p', "v${byte}w", 'h') },
    host  => sub { my $byte = shift; return ('/p', 'x', "h${byte}i") },
);
# What cannot be sent by the rules of calls.
my %refused = (path => qr/(*FAIL)/, query => qr/(*FAIL)/, value => qr/[\r\n\0]/, host => qr/[\r\n\0]/);

for my $kind (sort keys %kind) {
    my ($compared, @other, @wrong, @not_refused) = (0);
    for my $byte (map {chr} 0 .. 255) {
        my ($target, $x, $host) = $kind{$kind}->($byte);
        my ($status, $body) = made('/call', ':path' => $target, ':authority' => $host, x => $x);
        if ($byte =~ $refused{$kind}) {
            push @not_refused, sprintf '%02x: %d', ord $byte, $status if $status != 504 || $body !~ /is no valid|cannot be sent/;
            next;
        }
        my $sent = parts($body);
        # Control bytes and spaces, which nginx takes in no path.
        my $wanted = $target =~ s/([\x00-\x20\x7f])/sprintf '%%%02X', ord $1/er;
        push @wrong, sprintf '%02x: %d %s', ord $byte, $status, $body
            unless $status == 200 && $sent->{target} eq $wanted && $sent->{x} eq $x && $sent->{host} eq $host;
        # A space at the end of a target is its end for nginx.
        my $by_nginx = proxied($target, $x, $host) or next;
        $compared++;
        push @other, sprintf '%02x: %s', ord $byte, explain($sent, $by_nginx)
            unless $sent->{target} eq $by_nginx->{target} && $sent->{x} eq $by_nginx->{x} && $sent->{host} eq $by_nginx->{host};
    }
    is("@wrong", '', "$kind: every byte goes as it is");
    is("@other", '', "$kind: as nginx sends it");
    # Newer versions refuse what no host has.
    cmp_ok($compared, '>', $kind eq 'host' && $is_strict ? 70 : 200, "$kind: which takes $compared bytes");
    is("@not_refused", '', "$kind: what cannot be sent is a call that fails");
}
my $log = $nginx->log;
like($log, qr/\[error\] [^\n]*wasm filter "caller": call \d+ to "service" failed: "[^"]*" is no valid ":authority", client: 127\.0\.0\.1/, 'the log says why, and for whom');
is(() = $log =~ /is no valid ":authority"/g, 3, 'once for each');
unlike($log, qr/is not made/, 'and none is refused by a status');

# What nginx can be told to take.
my $odd = join '', map {chr} grep { chr !~ /[\w\-: ]/ } 0x21 .. 0x7e, 0x80 .. 0xff;
my ($status, $body) = made('/call', "n$odd" => 'v');
like($body, qr/^\Qn$odd\E: v\r\n/m, 'names of headers with any byte');

# Everything at once, and nothing of it is left for the next call on the connection.
my $value = join '', map {chr} 1 .. 9, 11, 12, 14 .. 255;
my $path  = join '', '/', map {chr} 0x21 .. 0x7e, 0x80 .. 0xff;
for my $round (1 .. 3) {
    ($status, $body) = made('/call', ':path' => $path, ':authority' => "h$value", x => "v$value.", y => 'plain', z => "z$value.");
    my $sent = parts($body);
    is_deeply([$sent->{target}, $sent->{x}, $sent->{host}], [$path, "v$value.", "h$value"], "all bytes in one call, $round");
    like($body, qr/\r\nz: z\Q$value.\E\r\n/s, 'in two values');
    like($body, qr/\r\ny: plain\r\n/, 'beside plain ones');
    ($status, $body) = made('/call', ':path' => '/plain', ':authority' => 'h');
    is($body, "GET /plain HTTP/1.1\r\nhost: h\r\n", 'the next one is plain');
}

# What is missing, or empty.
for my $headers ([], [':method' => '', ':path' => '', ':authority' => '', ':scheme' => '']) {
    ($status, $body) = made('/call', @$headers);
    is($body, "GET / HTTP/1.1\r\nhost: service\r\n", 'a call of which nothing is said');
}
for my $target ('http://h.example/p?q', 'p', '?q', '*', '/#', '/' . 'x' x 100_000) {
    ($status, $body) = made('/call', ':path' => $target, ':authority' => 'a');
    is(parts($body)->{target}, $target, 'a target of the form ' . substr $target, 0, 20);
}
is((made('/call', ':method' => 'G T'))[0],   504, 'a method that is none: a call that fails');
is((made('/call', ':scheme' => 'ftp'))[0],   504, 'a scheme that is none');
is((made('/call', map { ("a$_", '') } 1 .. 1001))[0], 504, 'too many headers');
is((made('/nobody', ':path' => "/a b"))[0],  502, 'a service that there is not is BadArgument, whatever is wrong beside');
is($nginx->request('POST', '/call', {}, "\1\0\0\0")->{status}, 502, 'what is no list of headers is, too');

# HTTP/2.
sub over_http2 {
    my ($status, $body) = made('/call2', @_);
    my ($target, $x, $host, $name) = $body =~ /\A(.*?)\n(.*?)\n(.*?)\n(.*)\n\z/s;
    return { status => $status, target => $target, x => $x, host => $host, name => $name };
}
my @wrong;
for my $byte (map {chr} 0x21 .. 0x7e, 0x80 .. 0xff) {
    my $percent = sprintf '%%%02X', ord $byte;
    for my $target ("/p${byte}41", "/p?q=${byte}41") {
        my $sent = over_http2(':path' => $target, ':authority' => 'h');
        my $encoded = $target =~ s/\Q$byte\E(?=41)/$percent/r;
        push @wrong, "$target: $sent->{status} $sent->{target}" unless $sent->{target} eq $target || $sent->{target} eq $encoded;
        push @wrong, "$target: encoded" if $byte =~ /[\w\-.~!\$&'()*+,;=:@]/ && $sent->{target} ne $target;
    }
}
is("@wrong", '', 'HTTP/2: every byte of a path goes, as it is or with a percent sign');
is(over_http2(':path' => '/a#b<c', ':authority' => 'h')->{target}, '/a%23b%3Cc', '"#" is not dropped');
is(over_http2(':path' => 'http://h.example/p?q', ':authority' => 'h')->{target}, '/p?q', 'of a whole URL the path');
is(over_http2(':path' => '/', ':authority' => 'h', x => "a\x01\t\xff\"b")->{x}, "a%01\t\xff\"b", 'control bytes of values have percent signs');
if ($is_strict) {
    ($status, $body) = made('/call2', ':path' => '/', ':authority' => 'h"<>|\\^`{}');
    like($body, qr/400 Bad Request/, 'an authority that no URI has is for the server to refuse');
} else {
    is(over_http2(':path' => '/', ':authority' => 'h"<>|\\^`{}')->{name}, 'h"<>|\\^`{}', 'an authority that no URI has');
}
is(over_http2()->{name}, 'http2', 'and one that was not said');
($status, $body) = made('/call2', ':path' => 'p', ':authority' => 'h');
is($status, 504, 'a path without a slash: a call that fails');
like($body, qr/"p" is no ":path" for HTTP\/2: it does not begin with "\/"/, 'which says why');
is(over_http2(':path' => '/after', ':authority' => 'h')->{target}, '/after', 'and is no failure of the server');

my @bad = grep {/\[(?:alert|emerg|crit)\]|panicked|exited on signal/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');
done_testing();
