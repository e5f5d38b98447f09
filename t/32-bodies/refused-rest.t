# What a client sends of a body after a filter has refused the request: it is passed over, and does not end the request a second
# time, which by then is about something else: its `post_action`, or an error page of an upstream.

use strict;
use warnings;

use Frames;
use IO::Select;
use IO::Socket::INET;
use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('refused-rest');
my $h2c   = $nginx->port + 2;
# The upstream: it answers when the test says so.
my $upstream = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die "cannot listen: $!\n";
my $address  = '127.0.0.1:' . $upstream->sockport;

# Name of the location, what its filter does, what else it says, and the status and body of the answer.
my ($at_once, $later) = ('request-body respond 403 no', 'tick 20; request-body hold; request-body at-tick respond 403 no');
my @places = (
    ['action',       $at_once, 'post_action /action.held;', 403, 'no'],
    ['action-later', $later,   'post_action /action-later.held;', 403, 'no'],
    ['page',         $at_once, 'proxy_wasm_intercept_errors on; error_page 403 = /page.held;', 200, 'held'],
    ['page-later',   $later,   'proxy_wasm_intercept_errors on; error_page 403 = /page-later.held;', 200, 'held'],
    ['trap',         'request-body trap', 'error_page 503 = /trap.held;', 200, 'held'],
    ['large',        'request-body hold', 'proxy_wasm_request_body_buffer 500; error_page 413 = /large.held;', 200, 'held'],
);
# The same while the body is streamed to the upstream.
push @places, map {
    my ($name, $does, $says, @answer) = @$_;
    ["$name-stream", $does, "proxy_request_buffering off; proxy_http_version 1.1; proxy_wasm_request_body_buffer 2k; $says" =~ s/\.held/-stream.held/r, @answer]
} grep { $$_[0] ne 'large' } @places;
my $locations = join '', map {
    my ($name, $does, $says) = @$_;
    "location = /$name { proxy_wasm bodies 'quiet; $does'; $says proxy_pass http://$address; }
     location = /$name.held { internal; proxy_wasm off; proxy_pass http://$address; access_log logs/held.log held; }\n"
} @places;
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    http   => "client_body_buffer_size 1k; log_format held '\$uri \$upstream_status \$request_uri';
        proxy_wasm_restart_delay 1ms 1ms after=1000000;",
    server => "listen 127.0.0.1:$h2c http2; $locations",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# Waits for nginx to ask the upstream for an action or a page, and gives back what has that answered. (It may have been asked for
# the location itself, when a body is streamed to it, and goes on waiting.)
my @waiting;
sub held {
    @waiting = ();
    while (1) {
        IO::Select->new($upstream)->can_read(30) or die "no request to the upstream in 30 s; the log:\n" . $nginx->log;
        my $connection = $upstream->accept;
        my $head = '';
        until ($head =~ /\r\n\r\n/) {
            IO::Select->new($connection)->can_read(30) or die "not a request: $head\n";
            sysread $connection, $head, 4096, length $head or last;
        }
        push @waiting, $connection;
        return sub {
            syswrite $connection, "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nheld";
            close $connection;
        } if $head =~ m{^\w+ /[\w-]+\.held HTTP};
    }
}

my ($first, $rest) = ('f' x 1000, 'r' x 20000);
my $length = length($first) + length $rest;
my $behind = "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n";
my $start  = sub { "POST /$_[0]?by=$_[1] HTTP/1.1\r\nHost: a\r\n$_[2]\r\n\r\n" };
my %http1  = (
    length  => ["Content-Length: $length", $first, $rest],
    chunked => ['Transfer-Encoding: chunked', "3e8\r\n$first\r\n", "4e20\r\n$rest\r\n0\r\n\r\n"],
    expects => ["Content-Length: $length\r\nExpect: 100-continue", $first, $rest],
);
for my $place (@places) {
    my ($name, undef, undef, $status, $body) = @$place;
    for my $by (sort keys %http1) {
        my ($header, $one, $other) = @{ $http1{$by} };
        my $client = RawClient->new($nginx->port);
        $client->send($start->($name, $by, $header));
        $client->take(qr/HTTP\/1\.1 100 Continue\r\n\r\n/) or die "$name, $by: no 100\n" if $by eq 'expects';
        $client->send($one);
        my $answer = held();
        $client->send($other, $behind);
        $answer->();
        my $response = $client->response;
        is_deeply([@$response{qw( status body )}], [$status, $body], "$name, $by: the answer");
        ok($client->at_end, "$name, $by: nothing is taken for another request");
    }
    for my $by (qw( h2-length h2 )) {
        my $client = Frames->new($h2c);
        $client->request("/$name?by=$by", $by eq 'h2' ? () : ('content-length' => $length));
        $client->data($first);
        my $answer = held();
        $client->data(substr $rest, 0, 10000);
        $client->data(substr($rest, 10000), 1);
        # nginx has taken them when it answers what comes behind them.
        $client->ping;
        $answer->();
        my $response = $client->response;
        is_deeply([@$response{qw( status body )}], [$status, $body], "$name, $by: the answer");
    }
    $nginx->wait_for("the log of $name", sub { (() = $nginx->read('logs/held.log') =~ m{^/$name\.held }mg) >= 5 });
}
my @wanted = map { my $name = $$_[0]; map {"/$name.held 200 /$name?by=$_"} qw( chunked expects length h2-length h2 ) } @places;
# The upstream of the location comes first where nginx had begun to ask it.
my @logged = map {s/ - : / /r} split /\n/, $nginx->read('logs/held.log');
is_deeply([sort @logged], [sort @wanted], 'each request is logged once, when the upstream has answered');
unlike($nginx->log, qr/\[(?:alert|emerg)\]/, 'nothing bad in the log');
unlike($nginx->log, qr/larger than declared/, 'what comes later is not held against what the request says now');
$nginx->stop;

done_testing();
