# Events of a stream through filters, with and without proxy_buffering: each is there before its upstream sends the next one,
# whatever filters do to it. Nginx marks the buffers of a buffered upstream as those that are to be sent at once.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $port   = $ENV{TEST_NGINX_PORT} + 1;
my $events = 4;
my $nginx  = NginxProcess->new('events');
my %filters = (
    none    => '',
    seen    => "proxy_wasm bodies 'quiet; response-body size';",
    upper   => "proxy_wasm bodies 'quiet; response-body upper';",
    append  => "proxy_wasm bodies 'quiet; response-body append :ping';",
    prepend => "proxy_wasm bodies 'quiet; response-body #1 prepend :ping';",
    tick    => "proxy_wasm bodies 'quiet; tick 10; response-body hold; response-body at-tick resume';",
    two     => "proxy_wasm bodies 'quiet; response-body append :ping'; proxy_wasm bodies 'quiet; response-body upper';",
    length  => "proxy_wasm bodies 'quiet; response-headers add response content-length 44';",
);
my $locations = '';
for my $buffering (qw( on off )) {
    $locations .= "location = /$buffering/$_ { proxy_buffering $buffering; $filters{$_} proxy_pass http://127.0.0.1:$port; }\n" for sort keys %filters;
}
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    server => "proxy_http_version 1.1;\n$locations",
);
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 8, ReuseAddr => 1) or die "listen: $!";
$nginx->start or die("nginx does not start: $nginx->{output}");

# The next bytes of a socket up to what matches, or what came within the bound of everything here.
sub read_until {
    my ($socket, $wanted) = @_;
    my ($all, $select) = ('', IO::Select->new($socket));
    until ($all =~ $wanted) {
        return "only: $all" unless $select->can_read(10);
        sysread $socket, $all, 65536, length $all or return "closed: $all";
    }
    return $all;
}

for my $buffering (qw( on off )) {
    for my $filter (sort keys %filters) {
        my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!";
        print $client "GET /$buffering/$filter HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        my $upstream = $listener->accept or die "accept: $!";
        $upstream->autoflush(1);
        read_until($upstream, qr/\r\n\r\n/);
        print $upstream "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        my @missing;
        for my $n (1 .. $events) {
            print $upstream "b\r\ndata: ev$n\n\n\r\n";
            # The next one is not sent before this one is there.
            my $got = read_until($client, qr/data: ev$n/i);
            push @missing, $got unless $got =~ /data: ev$n/i;
            last if @missing;
        }
        is_deeply(\@missing, [], "proxy_buffering $buffering, $filter: each event comes at once");
        print $upstream "0\r\n\r\n";
        close $upstream;
        close $client;
    }
}

my @worse = grep { /\[(?:alert|emerg)\]/ } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
