# tools/try: a filter in an nginx of its own. What it shows, what it says of bad input, that it loads a filter again, and that nothing
# is left of it.

use strict;
use warnings;

use File::Copy qw( copy );
use File::Path ();
use File::Temp ();
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $guests = "$root/build/guests";
my $port   = $ENV{TEST_NGINX_PORT};
my @which  = ('--nginx', $ENV{TEST_NGINX_BINARY}, '--module', $ENV{TEST_WASM_MODULE});
plan skip_all => 'not under valgrind: who is a process of nginx would not be known' if $ENV{TEST_WASM_VALGRIND};

# What it makes is in there, so what it leaves is seen. Workers of another user pass through it.
my $folder = File::Temp->newdir;
chmod 0755, $folder or die "cannot chmod $folder: $!\n";
mkdir "$folder/$_" or die "cannot make $folder/$_: $!\n" for qw( tmp own );
my $own = "$folder/own";

sub slurp {
    my $path = shift;
    open my $in, '<:raw', $path or return '';
    local $/;
    return <$in> // '';
}

# In one step, as a build should do it.
sub put {
    my ($path, $content) = @_;
    open my $out, '>:raw', "$path.new" or die "cannot write $path: $!\n";
    print $out $content;
    close $out or die "cannot write $path: $!\n";
    rename "$path.new", $path or die "cannot rename $path: $!\n";
    return $path;
}

# A tool that runs. What it writes is in {out} and {err}.
my %running;
sub start {
    my ($options, @command) = @_;
    my ($out, $err) = map { File::Temp->new } 1 .. 2;
    my $pid = fork // die "cannot fork: $!\n";
    if ($pid == 0) {
        $ENV{TMPDIR} = "$folder/tmp";
        # Whoever runs the tests may ignore them (nohup).
        $SIG{$_} = 'DEFAULT' for qw( INT HUP TERM PIPE );
        open STDIN, '<', $options->{in} // '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>&', $out or POSIX::_exit(126);
        open STDERR, '>&', $err or POSIX::_exit(126);
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    $running{$pid} = 1;
    return bless { pid => $pid, out_file => $out, err_file => $err }, 'Tool';
}

sub Tool::out { return main::slurp($_[0]{out_file}->filename) }
sub Tool::err { return main::slurp($_[0]{err_file}->filename) }

# Waits for something, up to a bound that only a failure reaches.
sub Tool::wait_for {
    my ($self, $what, $condition) = @_;
    my $end = time + 300;
    until ($condition->()) {
        if (time > $end) {
            die "waited in vain for $what; what it has written:\n", $self->out, $self->err;
        }
        sleep 0.02;
    }
    return;
}

# Its exit status, or minus the signal.
sub Tool::status {
    my $self = shift;
    $self->wait_for('its end', sub { waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid} });
    delete $running{ $self->{pid} };
    return $? & 127 ? -($? & 127) : $? >> 8;
}

# A test that fails leaves nothing.
END {
    local $?;
    kill 'TERM', $_ for keys %running;
    waitpid $_, 0 for keys %running;
    kill 'KILL', map { ($_, -$_) } processes() if $folder;
}

my $try = "$root/tools/try";

# Runs it to its end: exit status, standard output, standard error.
sub run {
    my (@arguments) = @_;
    my $options = ref $arguments[0] ? shift @arguments : {};
    my ($filter, @others) = @arguments;
    my $tool = start($options, $options->{try} // $try, $filter, $options->{as_it_is} ? () : (@which, '--port', $port), @others);
    return ($tool->status, $tool->out, $tool->err);
}

# Its processes: those that have the folder in their arguments, as nginx's master, or in their environment, and those of a group.
sub processes {
    return grep { $_ != $$ && join('', map {slurp($_)} "/proc/$_/cmdline", "/proc/$_/environ") =~ /\Q$folder\E\/tmp/ }
        map {/(\d+)/} glob '/proc/[0-9]*/stat';
}
sub of_group {
    my $group = shift;
    return grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) ([A-Z]) \d+ $group / && $1 ne 'Z' } map {/(\d+)/} glob '/proc/[0-9]*/stat';
}
sub nothing_left {
    my ($what, @groups) = @_;
    is_deeply([glob "$folder/tmp/*"], [], "$what: no files are left");
    is_deeply([processes(), map { of_group($_) } @groups], [], "$what: no processes are left");
    return;
}

# A filter that answers with its configurations, byte for byte.
my $shows = put("$own/shows.wat", <<'WAT');
(module
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "plugin_root_id")
  (global $top (mut i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32)
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (local.get 0))))
  (func $line
    (i32.store8 (global.get $top) (i32.const 10))
    (global.set $top (i32.add (global.get $top) (i32.const 1))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $top (i32.const 1024))
    (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
    (call $line)
    (drop (call $buffer (i32.const 6) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
    (call $line)
    (drop (call $property (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 4)))
    (drop (call $respond (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 1024)
      (i32.sub (global.get $top) (i32.const 1024)) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
WAT

# With curl.
{
    my ($status, $out, $err) = run("$guests/rust-headers.wasm",
        'response.add x-hello world; request.add x-of-filter yes; log info seen',
        '--', '/some/path?x=y&z', '-H', 'X-Of-Client: 1', '-d', "a body\nof two lines");
    is($status, 0, 'a request ends with the exit status of curl');
    like($out, qr/\AHTTP\/1\.1 200 OK\r\n/, 'and shows the response');
    like($out, qr/^x-hello: world\r$/m, 'with what the filter has added');
    like($out, qr{\r\n\r\nPOST /some/path\?x=y&z HTTP/1\.1\nhost: 127\.0\.0\.1:$port\n}, 'the upstream tells the request line');
    like($out, qr/^x-of-client: 1\n/m, 'the headers of the client');
    like($out, qr/^x-of-filter: yes\n/m, 'those of the filter');
    like($out, qr/\n\na body\nof two lines\z/, 'and the body, as it is');
    is($err, "\ninfo   seen\n", 'the log of the filter follows, and nothing else') or diag($err);
    nothing_left('a request');
}

# What curl is to get.
{
    my $headers = "$guests/rust-headers.wasm";
    my ($status, $out) = run($headers, '--', '-s', '-o', '/dev/null', '-w', 'status %{http_code}, %{url_effective}');
    is($out, "status 200, http://127.0.0.1:$port/", 'without a path it is /, and the value of an option is no path');
    (undef, $out) = run($headers, '--', '-so', '/dev/null', '-w', '%{url_effective}', '?only=arguments');
    is($out, "http://127.0.0.1:$port/?only=arguments", 'a path may be left out before its arguments');
    (undef, $out) = run($headers, '--', '--header', '/no-path', '-XPUT', '-H', 'x: /no-path', "http://127.0.0.1:$port/whole");
    like($out, qr/^PUT \/whole HTTP/m, 'a URL stays as it is');
    ($status, $out) = run({ in => put("$own/input", 'from standard input') }, $headers, '--', '-d', '@-', '/');
    like($out, qr/\n\nfrom standard input\z/, 'standard input is for curl');
    ($status, $out) = run($headers, 'deny /secret 403', '--', '--fail', '/secret');
    is($status, 22, 'the exit status is that of curl');
    put("$own/large", my $large = join '', map { chr($_ % 251) } 1 .. 3_000_000);
    ($status, $out) = run($headers, '--conf', 'client_max_body_size 4m;', '--', '-o', "$own/answer", '--data-binary', "\@$own/large", '/');
    is(length slurp("$own/answer") =~ s/.*?\n\n//sr =~ s/.*?\n\n//sr, length $large, 'a large body comes back');
    like(slurp("$own/answer"), qr/\n\n\Q$large\E\z/, 'as it was');
    ($status, $out) = run($headers, '--', '-H', 'Transfer-Encoding: chunked', '-d', '', '/');
    like($out, qr/^POST \/ HTTP/m, 'an empty body in chunks is a body');
}

# Configurations.
{
    my $any = join '', map {chr} 1 .. 255;
    for my $case (
        ['quotes, braces and dollars', q({"a": "it's", "b": [1, "\\\\n"]} ${x} $host; } # no comment)],
        ['line breaks',   "first\nsecond\r\n\n  fourth\n"],
        ['all bytes',     $any],
        ['more than an argument of nginx.conf has', '"x" ' x 5000],
        ['words of the directive', 'root_id=no'],
    ) {
        my ($what, $text) = @$case;
        my ($status, $out) = run($shows, $text, '--vm-config', reverse($text) . '', '--root-id', "an \"id\" \$x", '--', '-o', "$own/answer");
        is(slurp("$own/answer") =~ s/.*?\r\n\r\n//sr, "$text\n@{[ reverse($text) . '' ]}\nan \"id\" \$x", "a configuration with $what arrives unchanged");
    }
    put("$own/file with 'quotes' and \$x", "\0of a file\0$any");
    my ($status, $out) = run($shows, "file=$own/file with 'quotes' and \$x", "--vm-config=file=$own/file with 'quotes' and \$x", '--', '-o', "$own/answer");
    is(slurp("$own/answer") =~ s/.*?\r\n\r\n//sr, "\0of a file\0$any\n\0of a file\0$any\n", 'one in a file, too');
    copy($shows, "$own/a \"filter\" \$x {.wat") or die "cannot copy: $!\n";
    (undef, $out) = run("$own/a \"filter\" \$x {.wat", 'found', '--', '/');
    like($out, qr/\r\n\r\nfound\n/, 'a filter may have any name');
    copy($shows, "$own/off.wat") or die "cannot copy: $!\n";
    (undef, $out) = run("$own/off.wat", 'found', '--', '/');
    like($out, qr/\r\n\r\nfound\n/, 'also one that is a word of proxy_wasm');
    nothing_left('with configurations');
}

# Options.
{
    my $headers = "$guests/rust-headers.wasm";
    my ($status, $out, $err) = run("$guests/rust-probe.wasm", '@configure loop', '--timeout', '50ms', '--', '/');
    is($status, 1, '--timeout: a filter that takes longer does not start');
    like($err, qr/error: filter "rust-probe" does not start: .*still running after \d+ ms \(wasm_timeout\)$/m, 'and nginx says why');
    (undef, $out, $err) = run("$guests/rust-probe.wasm", '', '--isolation', 'request fresh', '--', '/');
    like($out, qr/^HTTP\/1\.1 200/, '--isolation takes the words of the directive');
    (undef, $out, $err) = run("$guests/rust-probe.wasm", '', '--isolation', 'nobody', '--', '/');
    like($err, qr/error: invalid value "nobody" of "proxy_wasm_isolation": it takes /, 'and nginx refuses others');
    (undef, $out) = run($headers, 'request.replace :path /other', '--conf', "location /other { return 200 'from --conf\n'; } # end", '--', '/');
    like($out, qr/\r\n\r\nfrom --conf\n\z/, '--conf is for the server');
    (undef, $out) = run($headers, '--http-conf', 'map $uri $mapped { default "by http"; }', '--http-conf', 'add_header x-mapped $mapped;', '--', '/');
    like($out, qr/^x-mapped: by http\r$/m, '--http-conf for http { }');
    (undef, $out, $err) = run($headers, '--wasm-conf', "module other $shows;", '--conf', "proxy_wasm other 'second';", '--', '/');
    like($out, qr/\r\n\r\nsecond\n/, '--wasm-conf for wasm { }');
    (undef, $out, $err) = run($headers, '--upstream', "http://127.0.0.1:$port/", '--conf', 'location /x { return 200; }', '--', '-o', '/dev/null', '-w', 'x');
    is($out, 'x', '--upstream may be any');

    my ($closed) = grep { !IO::Socket::INET->new("127.0.0.1:$_") } $port + 1 .. $port + 9;
    ($status, $out, $err) = run($headers, '--upstream', "http://127.0.0.1:$closed", '--', '/');
    like($out, qr/^HTTP\/1\.1 502/, '--upstream is where requests go');
    like($err, qr/^error  nginx: connect\(\) failed \(111: .*client: 127\.0\.0\.1, .*upstream: "http:\/\/127\.0\.0\.1:$closed\/"/m,
        'errors of nginx are shown in full');

    ($status, $out, $err) = run($headers, '--keep', '--', '/');
    my ($kept) = $err =~ /^==> the files are in (\Q$folder\E\/tmp\/\S+)$/m or diag($err);
    like(slurp("$kept/nginx.conf"), qr/^proxy_wasm rust-headers/m, '--keep leaves the files, and says where');
    File::Path::remove_tree($kept) if $kept;
}

# Bad input.
{
    my $headers = "$guests/rust-headers.wasm";
    put("$own/nothing.wasm", '');
    put("$own/text.wasm", "no module\n");
    put("$own/cut.wasm", substr slurp($headers), 0, 1000);
    put("$own/program.wat", '(module (memory (export "memory") 1) (func (export "_start")))');
    for my $case (
        [qr/^  tools\/try FILTER\.wasm /m,                              'nothing at all'],
        [qr/error: filter: there is no file "\Q$own\E\/gone\.wasm"$/m, 'a file that is not there', "$own/gone.wasm"],
        [qr/error: filter: "\Q$own\E" is a folder$/m,                 'a folder',                 $own],
        [qr/error: module "nothing" \(\Q$own\E\/nothing\.wasm\): .*\w/, 'an empty file',          "$own/nothing.wasm"],
        [qr/error: module "text" \(\Q$own\E\/text\.wasm\): not a WebAssembly module /, 'no module',  "$own/text.wasm"],
        [qr/error: module "cut" \(\Q$own\E\/cut\.wasm\): truncated WebAssembly module/, 'half a module', "$own/cut.wasm"],
        [qr/error: module "program" .*: not a .*"_start", as a program does/, 'a program',        "$own/program.wat"],
        [qr/error: configuration: there is no file "\Q$own\E\/gone"$/m, 'a configuration that is not there', $headers, "file=$own/gone"],
        [qr/error: configuration: the path of a file is missing$/m,   'a file without a name',    $headers, 'file='],
        [qr/error: VM configuration: there is no file/,               'the same of the VM',       $headers, '--vm-config', "file=$own/gone"],
        [qr/error: unexpected "b": .*quotes may be missing/,          'words without quotes',     $headers, 'a', 'b'],
        [qr/error: unknown option --nothing; /,                       'an unknown option',        $headers, '--nothing'],
        [qr/error: --vm-config needs a value$/m,                      'an option without a value', $headers, '--vm-config'],
        [qr/error: --port 70000: it takes a number from 1 to 65535$/m, 'no port',                 $headers, '--port', 70000],
        [qr/error: --upstream there: it takes a URL, /,               'no URL',                   $headers, '--upstream', 'there'],
        [qr/error: --nginx: there is no program "\Q$own\E\/nginx"$/m, 'an nginx that is not there', $headers, '--nginx', "$own/nginx"],
        [qr/error: "\S+true" is no nginx that runs/,                  'no nginx',                 $headers, '--nginx', 'true'],
        [qr/error: --module: there is no file "\Q$own\E\/m\.so"$/m,   'a module that is not there', $headers, '--module', "$own/m.so"],
        [qr/error: dlopen\(\) "\Q$own\E\/text\.wasm" failed /,        'no module of nginx',       $headers, '--module', "$own/text.wasm"],
        [qr/error: unknown directive "nonsense" in --conf:1$/m,       'a directive that is none', $headers, '--conf', 'nonsense on;'],
        [qr/error: unexpected "\}" in --http-conf:2$/m,               'a brace too many',         $headers, '--http-conf', "sendfile on;\n}"],
        [qr/^error  bad statement: .*nonsense.*\n.*error: filter "rust-headers" does not start: proxy_on_configure returned false.*[^0-9]$/m,
            'a configuration that the filter refuses', $headers, 'nonsense'],
    ) {
        my ($pattern, $what, @arguments) = @$case;
        my $tool = start({}, $try, @arguments ? (shift @arguments, @which, '--port', $port, @arguments) : ());
        is($tool->status, 1, "bad input, $what: exit status 1");
        like($tool->err, $pattern, "bad input, $what: a message");
        is($tool->out, '', "bad input, $what: and nothing else");
    }
    nothing_left('with bad input');
}

# Ports.
{
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1) or die "cannot listen: $!\n";
    my ($status, undef, $err) = run("$guests/rust-headers.wasm", '--', '/');
    is($status, 1, 'a port that is taken: exit status 1');
    like($err, qr/error: port $port of 127\.0\.0\.1 is taken; /, 'and a message');
    # To be asked would cost it a connection, and time, when it does not accept.
    is(scalar(my @connected = IO::Select->new($listener)->can_read(0)), 0, 'who listens there is not asked');
    # A port that answers nobody is taken, too.
    my $silent = $port + 9;
    my $bound = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $silent, Proto => 'tcp') or die "cannot bind: $!\n";
    ($status, undef, $err) = run("$guests/rust-headers.wasm", '--port', $silent, '--', '/');
    like($err, qr/error: port $silent of 127\.0\.0\.1 is taken; /, 'also a port where nobody listens yet');
    close $_ for $listener, $bound;

    my @tools = map { start({}, $try, "$guests/rust-headers.wasm", @which) } 1 .. 2;
    my %ports = map {
        my $tool = $_;
        $tool->wait_for('the URL', sub { $tool->err =~ /^==> http/m });
        my ($free) = $tool->err =~ m{^==> http://127\.0\.0\.1:(\d+)/ }m;
        is(HTTP::Tiny->new->get("http://127.0.0.1:$free/")->{status}, 200, "without --port, $free is free");
        ($free => 1)
    } @tools;
    is(scalar keys %ports, 2, 'and another one for each');
    kill 'INT', map { $_->{pid} } @tools;
    is($_->status, 0, 'Ctrl-C is the way to end') for @tools;
    nothing_left('with free ports');
}

# Until Ctrl-C.
sub serving {
    my (@arguments) = @_;
    my $tool = start({}, $try, shift @arguments, @which, '--port', $port, @arguments);
    $tool->wait_for('the URL', sub { $tool->err =~ m{^==> http://127\.0\.0\.1:$port/ goes through }m });
    my ($made) = glob "$folder/tmp/*";
    ($tool->{master}) = slurp("$made/nginx.pid") =~ /(\d+)/;
    return $tool;
}
sub get { return HTTP::Tiny->new(timeout => 60)->get("http://127.0.0.1:$port$_[0]") }
{
    my $filter = "$own/filter.wasm";
    my $lines  = "$own/lines";
    put($filter, slurp("$guests/rust-headers.wasm"));
    put($lines, 'response.add x-version one; log info the first; log error went wrong');
    my $tool = serving($filter, "file=$lines");
    is(get('/')->{headers}{'x-version'}, 'one', 'it serves');
    $tool->wait_for('the lines of the log', sub { $tool->out =~ /wrong/ });
    like($tool->out, qr/\A(?:.*\n)*info   the first\nerror  went wrong\n\z/, 'and shows what the filter logs, with levels');

    put($lines, 'response.add x-version two');
    $tool->wait_for('the new configuration', sub { $tool->err =~ /^==> "\Q$lines\E" has changed: .*\n==> the new one is in place$/m });
    is(get('/')->{headers}{'x-version'}, 'two', 'a configuration that changes is loaded');

    put($lines, 'nonsense');
    $tool->wait_for('the refusal', sub { $tool->err =~ /^==> the new one does not start; the one before goes on$/m });
    like($tool->out, qr/^error  bad statement: .*\n^emerg  nginx: filter "filter" does not start: proxy_on_configure returned false/m,
        'one that the filter refuses is told');
    is(get('/')->{headers}{'x-version'}, 'two', 'and the one before goes on');

    put($lines, 'response.add x-version three');
    $tool->wait_for('the next one', sub { $tool->err =~ /^==> the new one is in place$(?s:.*)^==> the new one is in place$/m });
    is(get('/')->{headers}{'x-version'}, 'three', 'the next one is loaded');

    put($filter, substr slurp($filter), 0, 5000);
    $tool->wait_for('the refusal', sub { $tool->out =~ /^emerg  nginx: module "filter" \(\Q$filter\E\): truncated /m });
    is(get('/')->{headers}{'x-version'}, 'three', 'so it is with a filter that is broken');
    put($filter, slurp($shows));
    $tool->wait_for('the new filter', sub { my $places = () = $tool->err =~ /is in place/g; $places == 3 });
    like(get('/')->{content}, qr/^response\.add x-version three\n/, 'a filter that changes is loaded');
    kill 'INT', $tool->{pid};
    is($tool->status, 0, 'Ctrl-C ends it');
    nothing_left('Ctrl-C', $tool->{master});
}

# Every end.
for my $case (['TERM', 143], ['HUP', 129]) {
    my ($signal, $expected) = @$case;
    my $tool = serving("$guests/rust-headers.wasm");
    kill $signal, $tool->{pid};
    is($tool->status, $expected, "SIG$signal ends it, and the exit status says so");
    nothing_left("SIG$signal", $tool->{master});
}
{
    my $tool = serving("$guests/rust-headers.wasm");
    kill 'KILL', $tool->{pid};
    is($tool->status, -9, 'SIGKILL leaves no time for anything');
    $tool->wait_for('the end of nginx', sub { !of_group($tool->{master}) });
    my @files = glob "$folder/tmp/*";
    is(scalar @files, 1, 'but nginx ends: files are all that is left');
    File::Path::remove_tree(@files);
}
{
    my $tool = serving("$guests/rust-headers.wasm");
    kill 'KILL', $tool->{master};
    is($tool->status, 1, 'it ends when nginx does');
    like($tool->err, qr/error: nginx has ended, /, 'and says so');
    # The worker has no master any more, and is ended for that.
    nothing_left('without nginx', $tool->{master});
}
# While a request waits for ever, and curl for it.
for my $case (['INT', 130], ['KILL', -9]) {
    my ($signal, $expected) = @$case;
    my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + 1, Listen => 1, ReuseAddr => 1) or die "cannot listen: $!\n";
    my $tool = start({}, $try, "$guests/rust-headers.wasm", @which, '--port', $port, '--upstream', "http://127.0.0.1:@{[ $port + 1 ]}", '--', '/');
    my $asked = $silent->accept;
    my ($master) = slurp((glob "$folder/tmp/*")[0] . '/nginx.pid') =~ /(\d+)/;
    # curl, and the part of the tool that waits for it.
    my @waiting = grep { $_ != $tool->{pid} && $_ != $master && slurp("/proc/$_/cmdline") =~ /^curl\0|\/tools\/try\0/ } processes();
    is(scalar @waiting, 2, 'curl waits');
    kill $signal, $tool->{pid};
    is($tool->status, $expected, "SIG$signal ends a request");
    if ($signal eq 'KILL') {
        $tool->wait_for('the end of nginx and curl', sub { !of_group($master) && !grep { kill 0, $_ } @waiting });
        File::Path::remove_tree(glob "$folder/tmp/*");
    }
    nothing_left("SIG$signal, while a request waits", $master);
    is_deeply([grep { kill 0, $_ } @waiting], [], "SIG$signal ends curl, too");
}

# On a terminal.
{
    my $command = join ' ', map {"'$_'"} $try, "$guests/rust-headers.wasm", @which, '--port', $port, 'log warn coloured';
    my $tool = start({}, 'script', '-qec', $command, "$own/typescript");
    $tool->wait_for('the URL', sub { $tool->out =~ m{==> http} });
    get('/');
    $tool->wait_for('the line', sub { $tool->out =~ /coloured/ });
    like($tool->out, qr/\e\[33mwarn  \e\[0m coloured/, 'levels have colours on a terminal');
    my ($master) = slurp((glob "$folder/tmp/*")[0] . '/nginx.pid') =~ /(\d+)/;
    kill 'KILL', $tool->{pid};
    $tool->status;
    $tool->wait_for('the end', sub { my @files = glob "$folder/tmp/*"; !@files });
    nothing_left('a terminal that goes', $master);
}

# Copied alone, and asked to find what there is.
{
    copy($try, "$own/ngx-wasm-try") or die "cannot copy: $!\n";
    chmod 0755, "$own/ngx-wasm-try";
    my ($status, $out) = run({ try => "$own/ngx-wasm-try" }, "$guests/rust-headers.wasm", 'response.add x-alone yes', '--', '/');
    like($out, qr/^x-alone: yes\r$/m, 'it works when it is copied elsewhere');
    is((run({ try => "$own/ngx-wasm-try", as_it_is => 1 }, '--help'))[1] =~ /^  (\S+) FILTER/m && $1, 'ngx-wasm-try', 'and knows its name');
    nothing_left('a copy');
SKIP: {
        my ($modules) = qx($ENV{TEST_NGINX_BINARY} -V 2>&1) =~ /--modules-path=(\S+)/;
        skip 'this nginx has the module, or none', 2 if $ENV{TEST_WASM_NGINX} ne 'installed' || -e "$modules/ngx_http_wasm_module.so";
        ($status, $out) = run({ as_it_is => 1 }, "$guests/rust-headers.wasm", 'response.add x-found yes', '--', '/');
        like($out, qr/^x-found: yes\r$/m, 'in a checkout it takes the module that was built there');
        ($status, undef, my $err) = run({ try => "$own/ngx-wasm-try", as_it_is => 1 }, "$guests/rust-headers.wasm", '--', '/');
        like($err, qr/error: there is no ngx_http_wasm_module\.so in \S+ \Q$modules\E, /, 'elsewhere it says where it has looked');
    }
    # As a package has it: the module is where nginx has its others.
    mkdir "$own/modules" or die "cannot make $own/modules: $!\n";
    symlink $ENV{TEST_WASM_MODULE}, "$own/modules/ngx_http_wasm_module.so" or die "cannot link: $!\n";
    put("$own/nginx-like", <<"SH");
#!/bin/sh
[ "\$1" != -V ] || { printf 'nginx version: nginx/1\n--modules-path=$own/modules --x\n'; exit; }
exec $ENV{TEST_NGINX_BINARY} "\$\@"
SH
    chmod 0755, "$own/nginx-like";
    ($status, $out) = run({ try => "$own/ngx-wasm-try", as_it_is => 1 }, "$guests/rust-headers.wasm", 'response.add x-installed yes',
        '--nginx', "$own/nginx-like", '--', '/');
    like($out, qr/^x-installed: yes\r$/m, 'it takes the module that nginx has among its others');

    # Another nginx than the module was built for (t/90-build/other-nginx.t).
    my $content = slurp($ENV{TEST_WASM_MODULE});
    $content =~ s/(\d,\d,\d,[01]{20})([01])/$1 . (1 - $2)/ge;
    put("$own/other.so", $content);
    ($status, undef, my $err) = run("$guests/rust-headers.wasm", '--module', "$own/other.so", '--', '/');
    like($err, qr/error: module "\Q$own\E\/other\.so" is not binary compatible; .* is another nginx than /, 'a module for another nginx');
}

done_testing();
