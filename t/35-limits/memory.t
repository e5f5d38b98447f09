# Bodies of 1 GiB through filters that read or change every byte and hold nothing: the worker's memory does not grow with
# them, in either direction.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;
use Upstream;

plan skip_all => 'an interpreter takes longer for so much than peers wait' unless Engine::can_do('machine code');

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $port  = $ENV{TEST_NGINX_PORT};
my $nginx = NginxProcess->new('memory');
my $sink  = NginxProcess->new('memory-upstream', port => $port + 1, modules => []);

use constant GIB => 1 << 30;

# Files that take no room on the disk.
for (['zeros', GIB], ['small', 16 << 20]) {
    my $path = $nginx->write($_->[0], '');
    truncate $path, $_->[1] or die "truncate: $!";
}

# The other ends of the streams: a plain nginx and a Perl process; their own memory is not the question.
Upstream->start($port + 2);
$sink->configure(server => "root @{[ $nginx->prefix ]};");
$sink->start or die("nginx does not start: $sink->{output}");

my $read   = "quiet; request-body sum; response-body sum";
my $change = "quiet; request-body upper; response-body upper; request-body sum; response-body sum";
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    server => "
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        proxy_max_temp_file_size 0;
        location /read/upload {
            proxy_wasm bodies '$read';
            proxy_wasm bodies '$read';
            proxy_pass http://127.0.0.1:@{[ $port + 2 ]}/swallow;
        }
        location /read/ {
            proxy_wasm bodies '$read';
            proxy_wasm bodies '$read';
            proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/;
        }
        location /change/upload {
            proxy_wasm bodies '$change';
            proxy_wasm bodies '$read';
            proxy_pass http://127.0.0.1:@{[ $port + 2 ]}/swallow;
        }
        location /change/ {
            proxy_wasm bodies '$change';
            proxy_wasm bodies '$read';
            proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/;
        }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# Kilobytes.
sub memory {
    open my $in, '<', "/proc/$worker/status" or die "worker $worker: $!";
    my %value = map { /^(\w+):\s+(\d+) kB/ ? ($1 => $2) : () } <$in>;
    return @value{qw( VmRSS RssAnon )};
}

sub download {
    my ($way, $bytes) = @_;
    my $client = RawClient->new($port);
    my $file   = $bytes == GIB ? 'zeros' : 'small';
    $client->send("GET /$way/$file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $socket = $client->{socket};
    my ($head, $count) = ('', 0);
    while (my $got = sysread $socket, my $piece, 1 << 20) {
        $count += $got;
        $head .= $piece if length $head < 1000;
    }
    return ($head =~ /^(.*)\r\n/ ? $1 : '', $count);
}

sub upload {
    my ($way, $bytes) = @_;
    my $client = RawClient->new($port);
    $client->send("POST /$way/upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    my $socket = $client->{socket};
    my $piece  = "100000\r\n" . ("x" x (1 << 20)) . "\r\n";
    for (1 .. $bytes >> 20) {
        my $at = 0;
        while ($at < length $piece) {
            $at += syswrite($socket, $piece, length($piece) - $at, $at) // die "the upload broke off: $!";
        }
    }
    $client->send("0\r\n\r\n");
    my $response = $client->response;
    return ($response->{status}, $response->{body});
}

for my $way (qw( read change )) {
    for my $direction (qw( download upload )) {
        my $run = $direction eq 'download' ? \&download : \&upload;
        # What the first stream needs stays: buffers of nginx's allocator, memory of the guest.
        $run->($way, 16 << 20);
        my ($rss, $anonymous) = memory();
        my $position = length $nginx->log;
        my ($answer, $count) = $run->($way, GIB);
        my ($rss_after, $anonymous_after) = memory();
        like($answer, qr/200/, "$way, $direction: a response");
        cmp_ok($count, '>=', GIB, "$way, $direction: 1 GiB");
        $nginx->wait_for('the sums', sub { 2 <= (() = substr($nginx->log, $position) =~ /sum 1073741824 /g) });
        pass("$way, $direction: both filters saw all of it");
        # A sanitizer keeps what was freed for a while, as does valgrind.
        next if $ENV{TEST_WASM_NGINX} eq 'asan' || $ENV{TEST_WASM_VALGRIND};
        cmp_ok($rss_after - $rss, '<', 2048, "$way, $direction: resident memory before and after ($rss, $rss_after kB)");
        cmp_ok($anonymous_after - $anonymous, '<', 2048, "$way, $direction: of its own ($anonymous, $anonymous_after kB)");
    }
}

is_deeply([$nginx->workers], [$worker], 'the worker is still the same');
unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'no alert');
done_testing;
