# Connections that change their protocol: what filters say about the 101 decides whether there is a tunnel, and when.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use NginxProcess;
use RawClient;
use Socket qw( IPPROTO_TCP TCP_CORK );
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('upgrade');
my $port  = $nginx->port;

# Answers 101, speaks first, and sends back what comes.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + 1, Listen => 64, ReuseAddr => 1) or die "listen: $!";
my $service = fork() // die "fork: $!";
if ($service == 0) {
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $client = $listener->accept or next;
        next if fork();
        alarm 120;
        $client->autoflush(1);
        my $head = '';
        while ($head !~ /\r\n\r\n/ && sysread $client, $head, 4096, length $head) { }
        if ($head =~ m{^GET /\S*gone}) {
            # One packet has the response and the end of the connection.
            setsockopt $client, IPPROTO_TCP, TCP_CORK, 1 or die "TCP_CORK: $!";
            print $client "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" . ($head =~ /words/ ? "last-words\n" : '');
            close $client;
            require POSIX;
            POSIX::_exit(0);
        }
        print $client "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Up: 1\r\n\r\nfirst-words\n";
        while (sysread $client, my $bytes, 4096) { print $client "echo:$bytes" }
        require POSIX;
        POSIX::_exit(0);
    }
}
close $listener;

my %filter = (
    plain       => '',
    'goes-on'   => q{proxy_wasm bodies 'quiet';},
    header      => q{proxy_wasm headers 'response.add x-a 1';},
    bodies      => q{proxy_wasm bodies 'quiet; response-body upper; response-end append !; request-body upper';},
    hold        => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick resume';},
    two         => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick resume'; proxy_wasm headers 'response.add x-a 1';},
    'hold-request' => q{proxy_wasm bodies 'quiet; tick 20; request-headers hold; request-headers at-tick resume';},
    stop        => q{proxy_wasm_headers_stop_iteration on; proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick resume';},
    deny        => q{proxy_wasm bodies 'quiet; response-headers respond 403 no';},
    'hold-deny' => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick respond 403 no';},
    trap        => q{proxy_wasm bodies 'quiet; response-headers trap';},
    'hold-trap' => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick trap';},
    close       => q{proxy_wasm bodies 'quiet; response-headers close';},
    'hold-close'  => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick close';},
    never       => q{wasm_pause_timeout 100ms; proxy_wasm bodies 'quiet; response-headers hold';},
    'never-stop'  => q{wasm_pause_timeout 100ms; proxy_wasm_headers_stop_iteration on; proxy_wasm bodies 'quiet; response-headers hold; response-end resume';},
    'plain-gone'  => '',
    'gone'        => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick resume';},
    'gone-two'    => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick resume'; proxy_wasm bodies 'quiet; tick 50; response-headers hold; response-headers at-tick resume';},
    'gone-words'  => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick resume';},
    'gone-deny'   => q{proxy_wasm bodies 'quiet; tick 20; response-headers hold; response-headers at-tick respond 403 no';},
    'gone-never'  => q{wasm_pause_timeout 100ms; proxy_wasm bodies 'quiet; response-headers hold';},
    status      => q{proxy_wasm bodies 'quiet; response-headers set response :status 200';},
);
$nginx->configure(
    main => "wasm { module bodies $root/build/guests/rust-bodies.wasm; module headers $root/build/guests/rust-headers.wasm; }",
    http => "proxy_http_version 1.1; proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade;",
    server => join("\n", map {"location /$_ { $filter{$_} proxy_pass http://127.0.0.1:@{[ $port + 1 ]}; }"} sort keys %filter),
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub upgrade {
    my ($path, $early) = @_;
    my $client = RawClient->new($port);
    return $client->send("GET $path HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" . ($early // ''));
}

for my $name ('plain', 'goes-on', 'header', 'bodies', 'hold', 'two', 'hold-request', 'stop') {
    for my $early ('', "early\n") {
        my $client = upgrade("/$name", $early);
        my $response = $client->response(no_body => 1);
        is $response->{status}, 101, "/$name: the 101 comes first";
        is $client->take_bytes(12), "first-words\n", "/$name: then what the service has said";
        if ($early) { is $client->take_bytes(11), "echo:early\n", "/$name: what the client sent before the 101 arrives" }
        $client->send("hi\n");
        is $client->take_bytes(8), "echo:hi\n", "/$name: the tunnel works in both directions";
        $client->close;
    }
}

my %refused = (deny => 403, 'hold-deny' => 403, trap => 503, 'hold-trap' => 503, never => 504, 'never-stop' => 504, status => 200);
for my $name (sort keys %refused) {
    my $client = upgrade("/$name", "early\n");
    my $response = $client->response;
    is $response->{status}, $refused{$name}, "/$name: status";
    unlike $response->{body}, qr/first-words|echo/, "/$name: nothing of the service";
    $client->send("hi\n");
    # What comes now is the answer to a request that is none, or the end.
    my $rest = '';
    while (1) {
        my $bytes = eval { $client->take_bytes(1) } // last;
        $rest .= $bytes;
    }
    unlike $rest, qr/first-words|echo/, "/$name: there is no tunnel";
}
for my $name ('close', 'hold-close') {
    my $client = upgrade("/$name");
    ok !defined eval { $client->response }, "/$name: no response, the connection ends";
}

# The service ends the connection while the 101 is held: with the 101, or when it has said something behind it.
for my $name ('gone', 'gone-two', 'gone-words', 'plain-gone') {
    my $client = upgrade("/$name");
    my $response = $client->response(no_body => 1);
    is $response->{status}, 101, "/$name: the 101 comes";
    my $rest = '';
    while (1) {
        my $bytes = eval { $client->take_bytes(1) } // last;
        $rest .= $bytes;
    }
    is $rest, $name =~ /words/ ? "last-words\n" : '', "/$name: what the service said before it left, and the end";
}
my %gone = ('gone-deny' => 403, 'gone-never' => 504);
for my $name (sort keys %gone) {
    my $client = upgrade("/$name");
    is $client->response->{status}, $gone{$name}, "/$name: a refusal is the response";
    ok !defined eval { $client->take_bytes(1) }, "/$name: and then the connection ends";
}

# A client that leaves while the 101 is held takes the service's connection with it.
{
    my $position = length $nginx->log;
    upgrade('/never')->close;
    is $nginx->get('/never')->{status}, 504, 'a request without upgrade, meanwhile';
}
kill 'QUIT', $nginx->pid;
$nginx->wait_for('the end of nginx', sub { !-e $nginx->prefix . '/nginx.pid' });
unlike $nginx->log, qr/\[alert\]|exited on signal|open socket/, 'nothing is left behind';

kill 'TERM', $service;
done_testing;
