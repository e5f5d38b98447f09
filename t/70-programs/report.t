# What logs and pages know of programs: $wasm_error, $wasm_time and $wasm_fuel, and how often they were refused memory.

use strict;
use warnings;

use JSON::PP;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('program-report');
$nginx->configure(
    main   => "wasm { module program $root/build/guests/rust-program.wasm; module plugin $root/build/guests/rust-extism.wasm; module faulty $root/build/guests/rust-faulty.wasm; }",
    http   => 'log_format wasm "$request_uri|$status|$wasm_error|$wasm_time|$wasm_fuel"; access_log logs/wasm.log wasm;',
    server => '
        wasm_timeout 20s;
        error_page 502 /oops;
        location = /oops       { internal; return 200 "error: $wasm_error\n"; }
        location /p/           { wasm_cgi program; }
        location /small/       { wasm_cgi program; wasm_memory_limit 4m; }
        location /brief/       { wasm_cgi program; wasm_timeout 100ms; }
        location /fuel/        { wasm_cgi program; wasm_fuel 50000000; }
        location /limited/     { wasm_cgi program; wasm_output_limit 1000; }
        location = /f/echo     { wasm_function plugin echo; wasm_fuel 50000000; }
        location = /f/fail     { wasm_function plugin fail; }
        location /filtered/    { wasm_cgi program; wasm_fuel 50000000; proxy_wasm faulty "name faulty; @request-headers spin 1000"; }
        location = /none       { return 200 ok; }
        location = /status     { access_log off; wasm_status; }',
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# What the access log has of a request: status, error, time, fuel.
my $seen = 0;
sub logged {
    my ($path) = @_;
    my $response = $nginx->get($path);
    my @lines;
    $nginx->wait_for('a line of the access log', sub { @lines = split /\n/, $nginx->read('logs/wasm.log'); @lines > $seen });
    $seen = @lines;
    my ($uri, @what) = split /\|/, $lines[-1];
    is($uri, $path, "$path is logged");
    return ($response->{content}, @what);
}

# Time that is more than none.
my $time = qr/^(?!0\.000000$)\d+\.\d{6}$/;

{
    my (undef, $status, $error, $used, $fuel) = logged('/p/hello');
    is_deeply([$status, $error, $fuel], [200, '-', '-'], 'a program that succeeds, without a limit');
    like($used, $time, 'its time');
    (undef, $status, $error, $used, $fuel) = logged('/fuel/hello');
    is_deeply([$status, $error], [200, '-'], 'with wasm_fuel');
    like($fuel, qr/^[1-9]\d+$/, 'its units');
    my (undef, undef, undef, undef, $again) = logged('/fuel/hello');
    is($again, $fuel, 'the same for the same request');
    my (undef, undef, undef, undef, $more) = logged('/fuel/say?n=100');
    isnt($more, $fuel, 'others for another one');
    (undef, $status, $error, $used, $fuel) = logged('/f/echo');
    is_deeply([$status, $error], [200, '-'], 'a function');
    like($used, $time, 'its time');
    like($fuel, qr/^[1-9]\d*$/, 'its units');
    (undef, $status, $error, $used, my $both) = logged('/filtered/hello');
    is_deeply([$status, $error], [200, '-'], 'behind a filter');
    like($used, $time, 'its time');
    cmp_ok($both, '>', $again, 'its units, and those of the filter');
    is_deeply([(logged('/none'))[1 .. 4]], [200, '-', '-', '-'], 'a request without either');
}

my %failure = (
    '/p/trap'          => [502, 'program: trap'],
    '/p/panic'         => [502, 'program: trap'],
    '/p/exit?code=3'   => [502, 'program: exit'],
    '/p/close'         => [502, 'program: no response'],
    '/p/broken-header' => [502, 'program: no response'],
    '/brief/loop'      => [504, 'program: timeout'],
    '/fuel/loop'       => [504, 'program: out of fuel'],
    '/f/fail'          => [500, 'plugin: failed'],
);
for my $path (sort keys %failure) {
    my ($status, $error) = @{ $failure{$path} };
    my ($content, @logged) = logged($path);
    is($content, "error: $error\n", "$path: an error page can tell it") if $status == 502;
    is_deeply([@logged[0, 1]], [$status, $error], "$path: so does the log");
}
# Behind the headers.
is((logged('/limited/large?n=5000'))[2], 'program: output too large', 'more output than it may write');
is((logged('/p/short'))[2], 'program: response cut', 'less than it has said');

# Memory.
like((logged('/small/grow'))[0], qr/^no more memory after \d MiB\n/, 'a program that takes all memory');
{
    my @refused = map { $_->{refused_growth} } grep { $_->{name} eq 'program' } @{ decode_json($nginx->get('/status')->{content})->{programs} };
    is(scalar(grep { $_ > 0 } @refused), 1, 'wasm_status counts what it was refused') or diag explain \@refused;
}

# Threads. What a program does behind its response it does without the loop of nginx.
for my $n (1 .. 20) {
    $nginx->get('/p/hello');
    $nginx->wait_for('the thread to have nothing to do', sub { decode_json($nginx->get('/status')->{content})->{threads}{busy} == 0 });
}
pass('threads whose programs have ended are not said to be busy');

is_deeply([grep {/\[(?:alert|emerg)\]|bug in the module/} split /\n/, $nginx->log], [], 'nothing bad is in the error log');
$nginx->stop;
done_testing;
