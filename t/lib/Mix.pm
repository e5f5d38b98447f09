package Mix;

# A configuration and requests for tests of nginx' life: some are answered at once, some wait for calls to a service, some for
# ticks on their way in and out, some use what filters share. Each answer can be told right from wrong.
#
#     my $mix = Mix->new($nginx, $service);                   # a NginxProcess; the address of a Peer->fault
#     $mix->configure(wasm => ..., http => ...);              # writes nginx.conf and the module in text form
#     $mix->version(2);                                       # changes that module, so that it adds x-version: 2
#     my $load = SteadyLoad->begin($nginx->port, 24, $mix->load);
#     my @modules = Mix->modules;

use strict;
use warnings;

sub new {
    my ($class, $nginx, $service) = @_;
    my $root = $ENV{TEST_WASM_ROOT} or die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n";
    return bless { nginx => $nginx, service => $service, guests => "$root/build/guests", version => 1 }, $class;
}

sub modules { return qw( bodies calls shared version ) }

sub version {
    my ($self, $version) = @_;
    $self->{version} = $version;
    $self->{nginx}->write('version.wat', <<"WAT");
(module
  (import "env" "proxy_replace_header_map_value" (func \$replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-version$version")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call \$replace (i32.const 2) (i32.const 0) (i32.const 9) (i32.const 9) (i32.const 1))))
WAT
    return;
}

sub configure {
    my ($self, %part) = @_;
    $part{$_} //= '' for qw( main wasm http server );
    $self->version($self->{version});
    my $modules = join ' ', map {"module $_ $self->{guests}/rust-$_.wasm;"} qw( bodies calls shared );
    $self->{nginx}->configure(
        main   => "wasm { $modules module version version.wat; $part{wasm} }\n$part{main}",
        http   => "wasm_max_calls 1000; wasm_call_keepalive 50;\n$part{http}",
        server => <<"CONF",
$part{server}
location = /version { proxy_wasm version; return 200 plain; }
location = /call    { proxy_wasm calls; return 200 ok; }
location = /shared  { proxy_wasm shared 'define counter served'; return 200 ok; }
location = /metrics { wasm_metrics; }
location = /tick {
    proxy_wasm bodies 'quiet; tick 20; request-headers hold; request-headers at-tick resume; response-headers hold;
        response-headers at-tick resume; response-body upper';
    return 200 waited;
}
CONF
    );
    return;
}

# The kinds of requests: a line, headers, and the answer.
sub kinds {
    my $self    = shift;
    my $service = $self->{service};
    return (
        ['GET /version', '', qr/^x-version: [1-9]\r\n(?:.*\r\n)?\r\nplain\z/ms],
        ['GET /call',    "x-calls: call a $service GET /delay/20/status/203; answer 200\r\n", qr/"kind":"response".*":status","203".*"open":0\}\s*\z/s],
        ['GET /tick',    '', qr/\r\n\r\nWAITED\z/],
        ['GET /shared',  "x-shared: add served 1\r\n", qr/\r\n\r\nadd served 1 -> \(\)\n?\z/],
        ['GET /call',    "x-calls: call a $service GET /delay/400/body/3000; answer 200\r\n", qr/"kind":"response".*":status","200".*"open":0\}\s*\z/s],
        ['GET /version', '', qr/^x-version: [1-9]\r\n(?:.*\r\n)?\r\nplain\z/ms],
    );
}

# What SteadyLoad->begin takes.
sub load {
    my $self  = shift;
    my @kinds = $self->kinds;
    return (
        request => sub {
            my $n = shift;
            my ($line, $headers) = @{ $kinds[$n % @kinds] };
            return "$line HTTP/1.1\r\nHost: a\r\nConnection: close\r\n$headers\r\n";
        },
        wrong => sub {
            my ($n, $bytes) = @_;
            my ($line, undef, $answer) = @{ $kinds[$n % @kinds] };
            return if $bytes =~ m{\AHTTP/1\.1 200 OK\r\n} && $bytes =~ $answer;
            return "$line got " . (length $bytes ? substr $bytes, 0, 600 : 'nothing');
        },
    );
}

1;
