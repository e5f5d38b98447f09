# Directives that ask for lines of level info, where no error log takes those: nginx says so, and accepts them. Where one log does,
# on their level or further in, it says nothing.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $nginx = NginxProcess->new('log-warnings');
$nginx->write('tiny.wat', NginxProcess::TINY_FILTER);

# What nginx -t warns of, with these error logs: of nginx as a whole, and of http, server and location. `behind`: the first
# stands at the end.
sub warnings {
    my ($directive, $main, %log) = @_;
    my %said = map { $_ => $log{$_} ? "error_log logs/$_.log $log{$_};" : '' } qw( http server location );
    $nginx->configure(
        main   => 'wasm { module tiny tiny.wat; }',
        http   => $said{http},
        server => "$said{server}\nlocation /a { $said{location}\n$directive proxy_wasm tiny; return 200; }\nlocation /b { return 200; }",
    );
    my $conf = $nginx->read('nginx.conf') =~ s/^error_log .*\n//mr;
    my $first = $main ? "error_log logs/error.log $main;\n" : '';
    $nginx->write('nginx.conf', $log{behind} ? $conf . $first : $first . $conf);
    my ($ok, $output) = $nginx->test;
    diag $output unless ok($ok, "accepted: $directive");
    return grep {/no effect/} split /\n/, $output;
}
sub warns {
    my ($directive, $logs, $what) = @_;
    my ($name)   = $directive =~ /^(\w+)/;
    my @warnings = warnings($directive, @$logs);
    is(scalar @warnings, 1, "$what: one warning");
    like($warnings[0], qr/\[warn\] .*"$name" in \S+nginx\.conf:\d+ has no effect: .* level info, .* say "error_log FILE info;" on that level/, "$what: what to do");
}
sub silent {
    my ($directive, $logs, $what) = @_;
    is_deeply([warnings($directive, @$logs)], [], "$what: no warning");
}

my @asking = ('proxy_wasm_trace on;', 'proxy_wasm_trace if=$arg_trace;', map {"proxy_wasm_log_level $_;"} qw( trace debug info ));
warns($_, ['error'], $_) for @asking;
silent($_, ['info'],  "$_, error_log info")  for @asking;
silent($_, ['error'], $_) for 'proxy_wasm_trace off;', map {"proxy_wasm_log_level $_;"} qw( warn error critical );

my $directive = 'proxy_wasm_trace on;';
warns($directive, [undef], 'no error_log, which is error');
warns($directive, ['error', $_ => 'notice'], "notice in $_") for qw( http server location );
warns($directive, ['warn', behind => 1], 'error_log behind http');
silent($directive, ['info', behind => 1], 'error_log behind http, at info');
silent($directive, ['error', $_ => 'info'], "info in $_") for qw( http server location );
silent($directive, ['error', location => 'debug'], 'debug');

# On a level around the log.
$nginx->configure(
    main   => 'wasm { module tiny tiny.wat; }',
    http   => 'proxy_wasm_trace on; proxy_wasm tiny;',
    server => 'location /a { error_log logs/a.log info; return 200; }',
);
$nginx->write('nginx.conf', $nginx->read('nginx.conf') =~ s/^(error_log .*) info;/$1 error;/mr);
my ($ok, $output) = $nginx->test;
ok($ok, 'a log further in') or diag $output;
unlike($output, qr/no effect/, 'is enough');

# Clients of whom all is written, whatever the level of the log is.
SKIP: {
    skip 'needs an nginx with --with-debug', 3 unless `$ENV{TEST_NGINX_BINARY} -V 2>&1` =~ /--with-debug/;
    $nginx->configure(
        main   => 'wasm { module tiny tiny.wat; }',
        server => 'location /a { proxy_wasm_trace on; proxy_wasm tiny; return 200 ok; }',
    );
    my $conf = $nginx->read('nginx.conf') =~ s/^(error_log .*) info;/$1 error;/mr;
    $nginx->write('nginx.conf', $conf =~ s/^events \{/events { debug_connection 127.0.0.1;/mr);
    ($ok, $output) = $nginx->test;
    ok($ok, 'debug_connection') or diag $output;
    unlike($output, qr/no effect/, 'debug_connection: no warning');
    $nginx->start or die("nginx does not start: $nginx->{output}");
    $nginx->get('/a');
    $nginx->stop;
    like($nginx->log, qr/\[info\] .*wasm trace "tiny"/, 'since the lines are written');
}

done_testing;
