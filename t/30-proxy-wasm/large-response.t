# Local responses larger than what the connection takes at once: all of it arrives, however slowly the client reads, and
# the connection can be used again. For a response in the place of a handler and for one that replaces another.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $SIZE = 32 << 20;

# Answers with SIZE bytes in on_request_headers or on_response_headers.
sub large {
    my $direction = shift;
    my $pages     = ($SIZE >> 16) + 1;
    return <<"WAT";
(module
  (import "env" "proxy_send_local_response" (func \$respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") $pages)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_${direction}_headers") (param i32 i32 i32) (result i32)
    (memory.fill (i32.const 65536) (i32.const 97) (i32.const $SIZE))
    (drop (call \$respond (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const $SIZE)
      (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
WAT
}

my $nginx = NginxProcess->new('large-response');
$nginx->write("$_.wat", large($_)) for qw( request response );
$nginx->write('big.txt', 'f' x (1 << 20));
$nginx->configure(
    main   => "wasm { module request request.wat; module response response.wat; }",
    server => "
        root @{[ $nginx->prefix ]};
        send_timeout 20s;
        location /request { proxy_wasm request; }
        location /return { proxy_wasm response; return 200 small; }
        location /file { proxy_wasm response; try_files /big.txt =404; }
        location /proxy { proxy_wasm response; proxy_pass http://127.0.0.1:@{[ $nginx->port ]}/big.txt; }
        location /unbuffered { proxy_wasm response; proxy_buffering off; proxy_pass http://127.0.0.1:@{[ $nginx->port ]}/big.txt; }
        location /next { return 200 next; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

for my $path (qw( /request /return /file /proxy /unbuffered )) {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!";
    print $socket "GET $path HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    my $all = do { local $/; <$socket> };
    my ($head, $rest) = split /\r\n\r\n/, $all, 2;
    like($head, qr/^content-length: $SIZE\r?$/mi, "$path: the length is announced");
    my $body = substr $rest // '', 0, $SIZE, '';
    is(length $body, $SIZE, "$path: all bytes arrive");
    is($body =~ tr/a//c, 0, "$path: and they are the right ones");
    like($rest // '', qr/\AHTTP.*next\z/s, "$path: the next response follows");
}

$nginx->stop;
unlike($nginx->log, qr/\[alert\]|timed out/, 'nothing to complain about in the log');

done_testing;
