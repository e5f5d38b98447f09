# A response that a filter ends, in a location with `post_action`: nginx goes on with that instead of closing the connection, and
# what a client asks next must not take the place of the answer that did not come.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('post-action');
$nginx->write('file', "from the file\n");
my %does = (
    'closes'      => ['response-headers close', qr/\A\z/],
    'closes-body' => ['response-body close', qr/\A\z/],
    'on-its-way'  => ['response-headers remove response content-length; response-body close',
        qr/\AHTTP\/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)+\r\n\z/],
    'goes-on'     => ['', qr/\r\n\r\nfrom the file\nHTTP\/1\.1 200 OK\r\n.*\r\n\r\nthe next one\z/s],
);
my $locations = join '', map {
    "location = /$_ { proxy_wasm bodies 'quiet; $does{$_}[0]'; post_action /after/$_; alias @{[ $nginx->prefix ]}/file; }\n"
} sort keys %does;
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    http   => "postpone_output 0; log_format uri '\$uri';",
    server => "$locations
        location /after/ { internal; access_log logs/after.log uri; return 204; }
        location = /next { return 200 'the next one'; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

for my $name (sort keys %does) {
    my $client = RawClient->new($nginx->port);
    $client->send("GET /$name HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    1 while $client->more;
    like($client->{read}, $does{$name}[1], "$name: what the client gets");
    $nginx->wait_for('the action', sub { $nginx->read('logs/after.log') =~ m{^/after/$name$}m });
    pass("$name: the action has run");
}
$nginx->stop;

done_testing();
