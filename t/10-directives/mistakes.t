# Mistakes that can be made with any directive: twice on a level, where it does not belong, with too few arguments, too many, or
# an empty one. Of each nginx says which directive it is, and in which line. Directives are those of the module's own table, and
# where they belong is what docs/directives.md says: one that is new there needs its row here.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
# Hundreds of runs of 'nginx -t': with our module alone they take a hundredth of a second each.
my $nginx = NginxProcess->new('mistakes', modules => [$ENV{TEST_WASM_MODULE}]);
my $conf  = $nginx->prefix . '/nginx.conf';
$nginx->write('tiny.wat', NginxProcess::TINY_FILTER);

$nginx->write('program.wat', '(module (memory (export "memory") 1) (func (export "_start")))');
$nginx->write('plugin.wat', '(module (import "extism:host/env" "input_length" (func (result i64))) (memory (export "memory") 1) (func (export "f")))');

# What the messages say; NAME is the directive.
my $number    = 'invalid number of arguments in "NAME" directive';
my $astray    = '"NAME" directive is not allowed here';
my $duplicate = '"NAME" directive is duplicate';
sub value { return sprintf 'invalid value "%s" of "NAME": it takes %s', @_ }

my $time    = 'a time above 0, such as 1s or 50ms';
my $size    = 'a size from 12k to 4096m, such as 5m';
my $body    = 'a size from 1 to 4095m, such as 1m';
my $switch  = '"off" or "on"';
my $on_error = '"closed", "open", "reload", "reload closed" or "reload open"';
my $isolation = '"worker" (or "none"), or "request" (or "stream", "filter"), which "fresh" may follow';
my $recycle  = '"on", "off", or a size such as 64m';
my $delay    = 'one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10';
my $level    = '"trace", "debug", "info", "warn", "error" or "critical"';
my $rate     = '"off", or a number of lines in a second, such as 1000';
my $variable = 'the name of a variable, without "=", and perhaps a value; without one it is that of nginx\'s own environment';
my $trace    = '"on", "off", or a condition such as if=$is_traced, which is not for clients to choose';
my $units    = '"off", or a number of units above 0, such as 10000000';
my $words    = 'one or more words, such as host=auth or http_call';
my $pool     = '"off", or a number from 1 to 16384, such as 1024';
my $memory   = 'memory=SIZE, a size from 64k to 4096m, such as memory=64m';
my $eviction = 'eviction=lru or eviction=none';
my $in_proxy_wasm = 'a name is followed by one configuration or one "file=PATH", and by one "root_id=ID", at most';
my $in_module = 'a path is followed by one VM configuration or one "file=PATH", and by one "sha256=...", at most';

# Of each directive: arguments that it takes, what it is told to take instead of '', and what else is not as with most:
#   few, many, empty  pairs of arguments and message (instead of: none, one more, and one that is empty)
#   twice             pairs of arguments, which are there twice on a level, and message (instead of: the directive is duplicate)
#   other             arguments that can stand on one level: those of a list, or empty ones where they mean that there is none
# NAME in a message is the directive, FIRST where the first of the two is, and ... anything.
my %row = (
    wasm    => ['{', undef, twice => ['{' => '"NAME" block is duplicate, the first is in FIRST'], few => []],
    metrics => ['{', undef, twice => ['{' => '"NAME" block is duplicate, the first is in FIRST'], few => []],
    module  => ['own tiny.wat', undef,
        twice => ['own tiny.wat' => 'duplicate module "own", the first is in FIRST'],
        other => ['own tiny.wat', 'other tiny.wat'],
        few   => ['' => $number, 'own' => $number],
        many  => ['own tiny.wat 1 2' => qq(unexpected "2" in "NAME": $in_module), 'own tiny.wat 1 2 3' => $number],
        empty => ["'' tiny.wat" => 'invalid name "" of "NAME": it must not be empty, "off" or "inherit"']],
    cache_dir     => ['cache', undef, empty => ["''" => '"NAME" needs the path of a folder, or "off"']],
    backtraces    => ['on', $switch],
    optimize      => ['on', '"auto", "on" or "off"'],
    instance_pool => ['16', $pool,
        many  => ['16 memory=64m 1' => $number],
        empty => ["''" => value('', $pool), "16 ''" => qq(invalid parameter "" of "NAME": it takes $memory)]],
    slab_size => ['1m', $size],
    max_metric_name_length => ['9', 'a number from 1 to 65536'],
    shm_kv => ['a 64k', undef,
        twice => ['a 64k' => 'duplicate "NAME" "a", the first is in FIRST', '* 64k' => 'duplicate "NAME" "*", the first is in FIRST'],
        other => ['a 64k', 'b 64k'],
        few   => ['' => $number, 'a' => $number],
        many  => ['a 64k eviction=lru 1' => $number],
        empty => [
            "'' 64k" => 'invalid name "" of "NAME": it must not be empty, nor have a "/"',
            "a ''"   => value('', $size),
            "a 64k ''" => qq(invalid parameter "" of "NAME": it takes $eviction),
        ]],
    shm_queue => ['a 64k', undef,
        twice => ['a 64k' => 'duplicate "NAME" "a", the first is in FIRST', '* 64k' => 'duplicate "NAME" "*", the first is in FIRST'],
        other => ['a 64k', 'b 64k'],
        few   => ['' => $number, 'a' => $number],
        empty => [
            "'' 64k" => 'invalid name "" of "NAME": it must not be empty, nor have a "/"',
            "a ''"   => value('', $size),
        ]],

    wasm_vm => ['wasmtime', undef, empty => ["''" => 'unknown engine "" in "NAME"; known are wasmtime, pulley, wasmedge']],
    proxy_wasm => ['tiny', undef,
        twice => [
            'off'     => '"NAME off" is duplicate on this level',
            'inherit' => '"NAME inherit" is duplicate on this level',
        ],
        other => ['tiny', 'tiny'],
        many => [
            'tiny 1 2'  => qq(unexpected "2" in "NAME": $in_proxy_wasm),
            'off 1'     => '"NAME off" takes nothing more; it cannot be the name of a filter',
            'inherit 1' => '"NAME inherit" takes nothing more; it cannot be the name of a filter',
        ],
        empty => ["''" => 'unknown module "" in "NAME"; known are tiny, program, plugin', "tiny '' ''" => qq(unexpected "" in "NAME": $in_proxy_wasm)]],
    wasm_memory_limit  => ['64m', 'a size from 64k to 4096m, such as 128m'],
    wasm_timeout       => ['1s', $time],
    wasm_pause_timeout => ['1s', $time],
    wasm_latency       => ['on', $switch],
    # As with nginx's own handlers, the last one has the location.
    wasm_metrics => ['', undef, twice => [], other => ['', ''], few => []],
    wasm_status  => ['html', undef, twice => [], other => ['', 'html', 'json'], few => [],
        empty => [map { ("'$_'" => value($_, '"json" or "html"')) } '', 'xml']],

    proxy_wasm_request_body_buffer       => ['1m', $body],
    proxy_wasm_response_body_buffer      => ['1m', $body],
    proxy_wasm_body_buffer_max           => ['1m', $body],
    proxy_wasm_headers_stop_iteration    => ['on', $switch],
    proxy_wasm_response_order            => ['onion', '"onion" or "declared"'],
    proxy_wasm_phase                     => ['access', '"rewrite" or "access"'],
    proxy_wasm_request_headers_in_access => ['on', $switch],
    proxy_wasm_reroute                   => ['on', $switch],
    proxy_wasm_decode                    => ['on', $switch],
    proxy_wasm_intercept_errors          => ['on', $switch],

    proxy_wasm_on_error      => ['open', $on_error, many => ['open closed' => value('open closed', $on_error)]],
    proxy_wasm_isolation     => ['request', $isolation, many => ['request worker' => value('request worker', $isolation)]],
    proxy_wasm_recycle       => ['on', $recycle, many => ['on off' => value('on off', $recycle)]],
    proxy_wasm_restart_delay => ['1s', $delay, many => ['1s 2s 3s' => value('1s 2s 3s', $delay)]],
    proxy_wasm_log_level     => ['warn', $level, many => ['warn error' => value('warn error', $level)]],
    proxy_wasm_log_rate      => ['5', $rate, many => ['5 5' => value('5 5', $rate)]],
    wasm_fuel                => ['5', $units, many => ['5 5' => value('5 5', $units)]],
    proxy_wasm_trace         => ['on', $trace, many => ['on off' => value('on off', $trace), 'if=' => value('if=', $trace)]],
    proxy_wasm_env           => ['A 1', $variable,
        twice => ['A 1' => 'duplicate "NAME" "A", the first is in FIRST', 'filter=tiny A 1' => 'duplicate "NAME" "A", the first is in FIRST'],
        other => ['A 1', 'B 1', "C ''"],
        many  => ['A 1 2' => value('A 1 2', $variable)]],
    proxy_wasm_allow         => ['http_call', $words, twice => [], other => ['http_call', 'http_call'], many => [],
        empty => ["''" => 'unknown word ""; known are ... in "NAME"']],

    wasm_threads => ['5', 'a number from 1 to 4096',
        many => ['5 5' => 'invalid parameter "5" of "NAME": it takes queue=NUMBER, with a number from 0 to 1048576', '5 queue=5 5' => $number]],
    wasm_cgi      => ['program', undef, empty => ["''" => 'unknown module "" in "NAME"; known are tiny, program, plugin']],
    wasm_function => ['plugin f', undef,
        few   => ['' => $number, 'plugin' => $number],
        many  => ['plugin f 5' => 'invalid parameter "5" of "NAME": it takes manifest=FILE', 'plugin f manifest=a 5' => $number],
        empty => ["'' f" => 'unknown module "" in "NAME"; known are tiny, program, plugin', "plugin ''" => 'program "plugin": it has no function ""; it has "f"']],
    wasm_function_mode  => ['raw', '"raw" or "json"'],
    wasm_function_error => ['500', 'a number from 400 to 599',
        many => ['500 5' => 'invalid parameter "5" of "NAME": it takes "text", or nothing', '500 text 5' => $number]],
    wasm_arg => ['a', undef, twice => [], other => ['a', 'a', "''"]],
    wasm_env => ['A b', undef, twice => [], other => ['A b', "A ''"],
        few   => ['' => $number, 'A' => $number],
        empty => ["'' b" => value('', 'the name of a variable, without "=", and a value')]],
    wasm_dir => ['temp', undef, other => ['temp', 'temp:/other:rw'],
        twice => ['temp' => 'invalid value "temp" of "NAME": it takes HOST[:GUEST][:rw], and this is not one: the program has ... already'],
        empty => ["''" => value('', 'HOST[:GUEST][:rw], and this is not one: "dir=" grants no directory: it has no path')]],
    wasm_output   => ['raw', '"cgi" or "raw"'],
    wasm_entry    => ['main', 'the name of a function of the program'],
    wasm_snapshot => ['on', '"on", "off", or the name of a function of the program',
        many => ['on 5' => 'invalid value "5" of "NAME": it takes "random" behind "on" or the name of a function',
            'off random' => 'invalid value "random" of "NAME": it takes "random" behind "on" or the name of a function', 'on random 5' => $number]],
    wasm_split_path_info => ['^(a)(b)$', undef,
        empty => ["''" => 'invalid value "" of "NAME": it needs two groups, ... and has 0']],
    wasm_pass_authorization => ['on', $switch],
    wasm_query_arguments    => ['on', $switch],
    wasm_request_buffering  => ['on', $switch],
    wasm_program_timeout    => ['1s', $time],
    wasm_header_limit       => ['1k', 'a size from 1 to 16m, such as 64k'],
    wasm_output_limit       => ['1k', 'a size from 0 to 8796093022207m, such as 100m, or 0 for any size'],

    wasm_max_calls               => ['5', 'a number from 1 to 65536'],
    wasm_call_connect_timeout    => ['1s', $time],
    wasm_call_response_buffer    => ['1m', 'a size from 1 to 1024m, such as 1m'],
    wasm_call_keepalive          => ['5', 'a number from 0 to 65536'],
    wasm_call_keepalive_timeout  => ['1s', $time],
    wasm_call_keepalive_requests => ['5', 'a number from 1 to 1000000000'],
    wasm_call_http_version       => ['auto', '"auto", "1.1" or "2"'],
    wasm_call_ssl                => ['auto', '"auto", "on" or "off"'],
    wasm_ssl_verify              => ['on', $switch],
    wasm_ssl_verify_depth        => ['1', 'a number from 0 to 1000'],
    wasm_ssl_protocols => ['TLSv1.2', undef, many => [],
        empty => ["''" => 'unknown protocol "" in "NAME"; known are TLSv1, TLSv1.1, TLSv1.2, TLSv1.3']],
    wasm_ssl_ciphers             => ['HIGH', undef, other => ["''"]],
    wasm_ssl_trusted_certificate => ['ca.crt', undef, other => ["''"]],
    wasm_ssl_certificate         => ['own.crt', undef, other => ["''"]],
    wasm_ssl_certificate_key     => ['own.key', undef, other => ["''"]],
);

# Where something can stand, and what is around it there.
my @around = (
    main             => [],
    events           => ['events {'],
    wasm             => ['wasm {'],
    metrics          => ['wasm {', 'metrics {'],
    http             => ['http {'],
    upstream         => ['http {', 'upstream up {', 'server 127.0.0.1:1;'],
    server           => ['http {', 'server {'],
    'if in server'   => ['http {', 'server {', 'if ($uri) {'],
    location         => ['http {', 'server {', 'location / {'],
    'if in location' => ['http {', 'server {', 'location / {', 'if ($uri) {'],
    limit_except     => ['http {', 'server {', 'location / {', 'limit_except GET {'],
);
my %around   = @around;
my @contexts = grep { !ref } @around;
my @temp = map {"${_}_temp_path temp/$_;"} qw( client_body proxy fastcgi uwsgi scgi );

# Has the lines in that context, and returns the number of the last of them.
sub configure {
    my ($context, @directives) = @_;
    my @around = @{ $around{$context} };
    my $in_http = @around && $around[0] eq 'http {';
    my @lines = ((map {"load_module $_;"} @{ $nginx->{modules} }), 'pid nginx.pid;', 'error_log stderr;');
    push @lines, 'events {', '}' unless $context eq 'events';
    push @lines, 'wasm { module tiny tiny.wat; module program program.wat; module plugin plugin.wat; }' if $in_http;
    for my $line (@around) {
        push @lines, $line;
        push @lines, @temp if $line eq 'http {';
        push @lines, "listen 127.0.0.1:@{[ $nginx->port ]};" if $line eq 'server {';
    }
    push @lines, @directives;
    my $last = @lines;
    push @lines, ('}') x grep {/\{$/} @around;
    push @lines, 'http {', @temp, '}' unless $in_http;
    $nginx->write('nginx.conf', join "\n", @lines, '');
    return $last;
}

sub statement {
    my ($name, $arguments) = @_;
    return $arguments =~ /\{$/ ? "$name $arguments}" : $arguments eq '' ? "$name;" : "$name $arguments;";
}

sub refused {
    my ($message, $context, $name, @arguments) = @_;
    my @statements = map { statement($name, $_) } @arguments;
    my $line  = configure($context, @statements);
    my $first = $line - $#statements;
    $message = $message =~ s/NAME/$name/gr =~ s/FIRST/$conf:$first/gr . " in $conf:$line";
    my $wanted = join '.+', map {quotemeta} split /\.\.\. /, $message;
    my ($ok, $output) = $nginx->test;
    my $emerg = join "\n", $output =~ /\[emerg\] \d+#\d+: (.*)/g;
    my $what  = "$context: @statements";
    return fail("$what: nginx -t accepts it") if $ok;
    return like($emerg, qr/^$wanted$/, $what);
}

sub accepted {
    my ($context, $name, @arguments) = @_;
    my @statements = map { statement($name, $_) } @arguments;
    configure($context, @statements);
    my ($ok, $output) = $nginx->test;
    return ok($ok, "$context: @statements may be there") || diag($output);
}

sub slurp {
    my $path = shift;
    open my $in, '<', $path or die "cannot read $path: $!\n";
    local $/;
    return <$in>;
}

my @directives = slurp("$root/ngx_module/src/commands.rs") =~ /\b(?:row|inner|http)\(\s*c"(\w+)"/g;
cmp_ok(scalar @directives, '>', 40, 'the table of directives is there');
is_deeply([sort keys %row], [sort @directives], 'each directive has a row here, and each row is about one');

my (%belongs, %of_filters);
{
    my $text = slurp("$root/docs/directives.md");
    while ($text =~ /^## (\w+)\n\n\| \| \|\n\| --- \| --- \|\n((?:\|.*\n)+)/mg) {
        my ($name, $about) = ($1, $2);
        my ($contexts) = $about =~ /^\| Context \| (.*) \|$/m or next;
        $belongs{$name} = [map {s/ \(.*\)//r} split /, /, $contexts];
        $of_filters{$name} = 1 if $about =~ /^\| Syntax \|.*\[filter=NAME\]/m;
    }
}

for my $name (grep { $row{$_} } @directives) {
    my ($takes, $wants, %but) = @{ $row{$name} };
    my @levels = @{ $belongs{$name} // [] };
    ok(@levels && !(grep { !$around{$_} } @levels), "docs/directives.md says where \"$name\" belongs") or next;
    my $is_block = $takes eq '{';

    my @twice = @{ $but{twice} // [$takes => $duplicate] };
    while (my ($arguments, $message) = splice @twice, 0, 2) {
        refused($message, $_, $name, $arguments, $arguments) for @levels;
    }
    if ($but{other}) {
        accepted($_, $name, @{ $but{other} }) for @levels;
    }
    if ($of_filters{$name} && !$but{other}) {
        # One for all filters and one for some do not stand in each other's way.
        refused($duplicate, $_, $name, "filter=tiny $takes", $takes, "filter=tiny $takes") for @levels;
    }

    my @wrong = (
        @{ $but{many}  // [($is_block ? '1 {' : "$takes 1") => $number] },
        @{ $but{empty} // (defined $wants ? ["''" => value('', $wants)] : []) },
    );
    if ($of_filters{$name}) {
        push @wrong, "filter= $takes" => '"filter=" of "NAME" lacks a name', 'filter=tiny' => value('', $wants),
            "filter=nobody $takes" => 'no "proxy_wasm nobody" for what is said of "filter=nobody" (there is no filter)';
    }
    # From here on it is nginx that looks, by what the module's table says.
    push @wrong, @{ $but{few} // ['' => $number] },
        $is_block ? ('' => 'directive "NAME" has no opening "{"') : ("$takes {" => 'directive "NAME" is not terminated by ";"')
        unless $ENV{TEST_WASM_VALGRIND};
    while (my ($arguments, $message) = splice @wrong, 0, 2) {
        refused($message, $levels[-1], $name, $arguments);
    }
    next if $ENV{TEST_WASM_VALGRIND};
    my %right = map { $_ => 1 } @levels;
    refused($astray, $_, $name, $takes) for grep { !$right{$_} } @contexts;
}

# And directives of others in our blocks.
refused($astray, $_, 'worker_processes', 1), refused($astray, $_, 'server_name', 'localhost'), refused($astray, $_, 'user', 'root')
    for qw( wasm metrics );

done_testing();
