# A filter that has no callback about response headers, and whose instance fails while a request that it has let pass is at the
# upstream: that request, too, ends as proxy_wasm_on_error says, though the filter would be asked nothing more.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use RawClient;
use Test::More;

my $port  = $ENV{TEST_NGINX_PORT};
my $nginx = NginxProcess->new('on-error-unheard');

# Traps when the method has one letter.
$nginx->write('guard.wat', <<'WAT');
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) ":method")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 64) (i32.const 68)))
    (if (i32.eq (i32.load (i32.const 68)) (i32.const 1)) (then unreachable))
    (i32.const 0)))
WAT

my %policy = (closed => 'closed', open => 'open', reload => 'reload', 'reload-open' => 'reload open');
my %status = (closed => 503, open => 200, reload => 503, 'reload-open' => 200);
my $places = join "\n", map {
    my $policy = $_;
    map { "location /$policy/$_ { proxy_wasm_on_error $policy{$policy}; proxy_wasm_isolation $_; proxy_wasm guard 'of $policy'; proxy_pass http://127.0.0.1:@{[ $port + 2 ]}; }" } qw( worker request );
} sort keys %policy;
$nginx->configure(main => 'wasm { module guard guard.wat; }', server => "proxy_http_version 1.1; $places");
my $upstream = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + 2, Listen => 5, ReuseAddr => 1)
    or die("cannot listen: $!");
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# The status of a request at the upstream, when another one has made the filter fail meanwhile.
sub after_failure {
    my ($place) = @_;
    my $client = RawClient->new($nginx->port)->send("GET /$place HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $served = $upstream->accept or die "nobody comes: $!\n";
    my $head = '';
    while ($head !~ /\r\n\r\n/) { sysread($served, $head, 4096, length $head) or die "the upstream gets no request\n" }
    my $other = RawClient->new($nginx->port)->send("A /$place HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    # With a policy that is open it goes on, to the same upstream.
    if ($place =~ /^open/) {
        my $again = $upstream->accept or die "nobody comes: $!\n";
        print $again "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        close $again;
    }
    $other->response;
    print $served "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    close $served;
    return $client->response->{status};
}

for my $policy (sort keys %policy) {
    is(after_failure("$policy/worker"), $status{$policy}, "$policy{$policy}: a request that was in the instance");
    is(after_failure("$policy/request"), 200, "$policy{$policy}: a request that has an instance to itself");
}
is(($nginx->workers)[0], $worker, 'the worker is the one that it was');
is(() = $nginx->log =~ /\[crit\] [^\n]*wasm filter "guard"/g, 8, 'a line of the log for each failure');
my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
