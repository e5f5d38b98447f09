# A request body that is streamed through a filter that changes it, to an upstream that does not read: the client has to wait,
# and the worker does not collect what it sends.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $port  = $ENV{TEST_NGINX_PORT};
my $nginx = NginxProcess->new('slow-upstream');

# More than all buffers of the kernel and of nginx on the way.
use constant SIZE => 128 << 20;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + 2, Listen => 5, ReuseAddr => 1)
    or die("cannot listen: $!");
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    server => "
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        location / {
            proxy_wasm bodies 'quiet; request-body upper';
            proxy_pass http://127.0.0.1:@{[ $port + 2 ]};
        }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die("cannot connect: $!");
print $client "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: @{[ SIZE ]}\r\n\r\n";
$client->flush;
$client->blocking(0);
my ($sent, $piece) = (0, 'a' x (1 << 20));

# Sends what the socket takes now.
sub send_more {
    my $left  = SIZE - $sent;
    my $count = syswrite $client, $piece, $left < length $piece ? $left : length $piece;
    $sent += $count // 0;
}

# A client that is stopped stays so; one that goes on would be through with it at some time.
my $writable = IO::Select->new($client);
send_more() while $sent < SIZE && $writable->can_write(2);
cmp_ok $sent, '<', SIZE / 2, 'the client is stopped while the upstream does not read';

my $upstream = $listener->accept;
my ($received, $head, $others) = (0, '', 0);
my $readable = IO::Select->new($upstream);
while ($received < SIZE && $readable->can_read(60)) {
    my $got = sysread $upstream, my $bytes, 1 << 20 or last;
    if ($head !~ /\r\n\r\n/) {
        $head .= $bytes;
        next if $head !~ s/(\r\n\r\n)(.*)/$1/s;
        $bytes = $2;
    }
    $received += length $bytes;
    $others   += $bytes =~ tr/A//c;
    send_more() while $sent < SIZE && $writable->can_write(0);
}
is $received, SIZE, 'all of it arrives when the upstream reads';
is $others, 0, 'as the filter changed it';
print $upstream "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
close $upstream;

$client->blocking(1);
my $answer = join '', <$client>;
like $answer, qr/^HTTP\/1.1 200 .*ok$/s, 'the client gets its answer';
$nginx->stop;
done_testing;
