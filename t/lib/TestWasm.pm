package TestWasm;

# What a test file of this project starts with: Test::Nginx::Socket with this project's ground rules.
#
#     use TestWasm 'no_plan';
#     run_tests();
#
#     __DATA__
#
#     === TEST 1: the filter adds a header to the response
#     --- main_config
#     wasm {
#         module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
#     }
#     --- config
#     location /t {
#         proxy_wasm headers 'response.add x-hello world';
#         return 200 "ok\n";
#     }
#     --- request
#     GET /t
#     --- response_headers
#     x-hello: world
#     --- response_body
#     ok
#
# Run all with 'make test', one with 't/run t/FILE.t', one block by writing '--- ONLY' in it. 't/run -v' shows each
# check. Afterwards build/t/servroot-1 (and -2, ..: one for each job of t/run) has the nginx.conf and the logs of the last block.
#
# WHERE THINGS GO. '--- main_config': top level (wasm {}), '--- http_config': http {}, '--- config': server {}. All
# else is in Test::Nginx::Socket's own documentation: perldoc build/perl/usr/share/perl5/Test/Nginx/Socket.pm. In the
# configuration and user_files sections, and here also in error_log, no_error_log and grep_error_log_out, these are
# replaced:
#
#     $TEST_NGINX_GUESTS        folder of the compiled guests (build/guests)
#     $TEST_NGINX_HTML_DIR      folder of the files that '--- user_files' writes
#     $TEST_NGINX_LUA_DIR       our lua/ folder: lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
#     $TEST_NGINX_SERVER_ROOT   nginx's prefix; nginx.conf is conf/nginx.conf in it
#     $TEST_NGINX_SERVER_PORT   the port of the server under test: proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT;
#     $TEST_NGINX_PORT_1 .. _9  more ports: listen 127.0.0.1:$TEST_NGINX_PORT_1;
#
# A GUEST IN TEXT FORM, inline:
#
#     --- main_config
#     wasm { module tiny $TEST_NGINX_HTML_DIR/tiny.wat; }
#     --- user_files
#     >>> tiny.wat
#     (module
#       (memory (export "memory") 1)
#       (func (export "malloc") (param i32) (result i32) (i32.const 1024))
#       (func (export "proxy_abi_version_0_2_1"))
#       (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
#       (func (export "proxy_on_log") (param i32)))
#
# A MISTAKE THAT KEEPS NGINX FROM STARTING. '--- must_die': nginx must refuse, with an [emerg] line (that is checked
# by itself), and each line of '--- error_log' must be part of some line of the log. No request is sent:
#
#     --- main_config
#     wasm { module gone $TEST_NGINX_HTML_DIR/gone.wasm; }
#     --- config
#     --- must_die
#     --- error_log eval
#     [qr/\[emerg\] .*"gone".* No such file .*nginx\.conf:\d+/]
#
# Several patterns that must be on the same line go into one qr//. For 'nginx -t' itself, for reload, and for anything
# else that is not a request and its response, write a plain Test::More file with NginxProcess (beside this file).
#
# MORE THAN ONE WORKER. nginx runs as one process unless the file says, before run_tests():
#
#     master_on();
#     workers(2);
#
# What only happens in a forked worker (the epoch ticker, instances made after fork, shared memory) needs that.
#
# NEEDS. A file whose tests need what not every nginx has says so first, and is skipped elsewhere:
#
#     needs('lua');              # the Lua module; it is there with the installed nginx
#     needs('debug');            # nginx built with --with-debug
#     needs('nginx 1.25.1');     # that version or later
#     needs('no valgrind');      # it does not go with 't/run --valgrind'
#     needs('instance_pool');    # an engine that can do this ('t/run --engine'): the words are in Engine.pm
#
# A block says the same in '--- needs', with a word in each line.
#
# RULES BUILT IN
#   - nginx listens on 127.0.0.1 only. Tests do the same: no bare 'listen PORT', no udp_listen, no
#     $TEST_NGINX_RAND_PORT_n.
#   - The error log level is info; '--- log_level: debug' for a block, log_level('debug') for a file.
#   - Blocks run in the order of the file.
#   - A line with [alert], [emerg] or a Rust panic in the error log fails the block, unless it asks for such a line in
#     '--- error_log' (or for 'reload_fails').
#   - Nothing depends on time: what '--- error_log' and '--- access_log' ask for is waited for (log phase and timers
#     come after the response), up to a bound that only a failure reaches. For grep_error_log, name the last wanted line
#     in '--- error_log' as well. A test that must see that something does NOT happen makes something else happen after
#     it and waits for that.
#   - A green run is silent. What nginx says on its standard error when it starts is shown unless '--- error_log' asks for it,
#     and so are lines with [crit]. Where filters fail because that is what the block is about, but it looks at what comes of
#     it, '--- expects_crit' has patterns, as error_log has, of lines with [crit] that are no news:
#
#         --- expects_crit
#         wasm "traps": proxy_on_request_headers failed
#
#   - '--- http2' works on any nginx.
#   - In a block with several requests ('--- request eval' with a list) error_log is asked for after each of them. Where
#     the error log matters: one request per block.

use v5.10.1;
use Test::Nginx::Socket -Base;

use Engine ();
use File::Spec ();
use Test::Nginx::Util ();
use Time::HiRes ();

our @EXPORT = qw( needs );

my ($port, $root);

BEGIN {
    for my $name (qw( TEST_WASM_ROOT TEST_NGINX_BINARY TEST_NGINX_PORT TEST_NGINX_SERVROOT )) {
        die "$name is not set; run the tests with t/run or 'make test'\n" unless $ENV{$name};
    }
    $root = $ENV{TEST_WASM_ROOT};
    $port = $ENV{TEST_NGINX_PORT};
}

$ENV{TEST_NGINX_GUESTS}      = "$root/build/guests";
$ENV{TEST_NGINX_LUA_DIR}     = "$root/lua";
$ENV{TEST_NGINX_HTML_DIR}    = html_dir();
$ENV{TEST_NGINX_SERVER_PORT} = $port;
$ENV{TEST_NGINX_STREAM_PORT} = $port + 9;
$ENV{"TEST_NGINX_PORT_$_"}   = $port + $_ for 1 .. 9;

# What is written after 'listen'; clients go by the number alone.
server_port("127.0.0.1:$port");
server_port_for_client($port);

no_shuffle();
no_long_string();
log_level($ENV{TEST_NGINX_LOG_LEVEL} // 'info');

# (The subs below have no parameter list of their own: 'use ... -Base' adds "my $self = shift" to each 'sub name {',
# which a prototype keeps away.)

my %have = (
    lua   => sub () { $ENV{TEST_WASM_LUA} },
    debug => sub () { `$ENV{TEST_NGINX_BINARY} -V 2>&1` =~ /--with-debug/ },
    'no valgrind' => sub () { !$ENV{TEST_WASM_VALGRIND} },
    wasmedge => sub () { `/sbin/ldconfig -p` =~ m{libwasmedge\.so\.0} },
);

sub missing (@) {
    for my $need (@_) {
        my $there;
        if ($need =~ /^nginx (\d+)\.(\d+)\.(\d+)$/) {
            $there = ($ENV{TEST_NGINX_VERSION_NUM} // 0) >= ($1 * 1000 + $2) * 1000 + $3;
        } elsif (my $check = $have{$need}) {
            $there = $check->();
        } else {
            $there = Engine::can_do($need) // die "needs('$need'): no such need\n";
        }
        return $need unless $there;
    }
    return;
}

sub needs (@) {
    my $missing = missing @_;
    return unless defined $missing;
    Test::More->builder->skip("needs $missing");
    Test::More->builder->done_testing unless Test::More->builder->has_plan;
    exit 0;
}

sub patterns ($) {
    my $value = shift;
    return () unless defined $value;
    return ref $value eq 'ARRAY' ? grep { defined } @$value : $value if ref $value;
    chomp $value;
    return split /\n+/, $value;
}

sub mentions ($@) {
    my ($word, @patterns) = @_;
    return grep { index("$_", $word) >= 0 } @patterns;
}

sub asked_for ($@) {
    my ($line, @patterns) = @_;
    return grep { ref $_ ? $line =~ $_ : index($line, $_) >= 0 } @patterns;
}

# Since 1.29.7 nginx asks upstreams by HTTP/1.1 and keeps their connections. What blocks do not say themselves is as it was before.
add_block_preprocessor(sub {
    my $block = shift;
    return if ($ENV{TEST_NGINX_VERSION_NUM} // 0) < 1_029_007 || ($block->http_config // '') =~ /proxy_http_version/;
    $block->set_value('http_config', "proxy_http_version 1.0;\n" . ($block->http_config // ''));
});

# What each block wants to see in the error log, or knows of, by its name.
my %expected;

add_block_preprocessor(sub {
    my $block = shift;

    for my $section (qw( error_log no_error_log grep_error_log_out access_log )) {
        my $value = $block->$section;
        next if !defined $value || ref $value;
        $value =~ s/\$(TEST_NGINX_[A-Z0-9_]+)/$ENV{$1} \/\/ "\$$1"/ge;
        $block->set_value($section, $value);
    }

    my @wanted = patterns $block->error_log;
    $expected{$block->name} = [@wanted, patterns $block->expects_crit];
    if (defined $block->must_die) {
        $block->set_value(suppress_stderr => 1);
        $block->set_value(error_log => [@wanted, '[emerg]']) unless mentions '[emerg', @wanted;
        return;
    }
    return if defined $block->reload_fails;
    my @refused = grep { !mentions $_, @wanted } '[alert]', '[emerg]';
    push @refused, 'panicked at' unless mentions 'panicked', @wanted;
    $block->set_value(no_error_log => [map { Engine::but_what_it_says($_) } patterns($block->no_error_log), @refused]);
});

# Test::Nginx puts the file in front of the name.
sub expected ($) {
    my $name = $_[0] =~ s/^\S+\.t (?=TEST )//r;
    return @{ $expected{$name} // [] }, Engine::says();
}

# Test::Nginx tells of each line with [crit]. Those that the block expects are no news.
$SIG{__WARN__} = sub {
    my $text = shift;
    my ($name, $line) = $text =~ /^WARNING: (.*?) - (\d{4}\/\d\d\/\d\d .*\[crit\].*)/s;
    if (defined $name) {
        $line =~ s/\\(["\\])/$1/g;
        return if asked_for $line, expected $name;
    }
    warn $text;
};

# The same for standard error, which is a file while a block runs.
my ($stderr, @no_news);
my $said = "$ENV{TEST_NGINX_SERVROOT}.stderr";

sub keep_stderr (@) {
    @no_news = @_;
    open $stderr, '>&', \*STDERR or die "cannot keep standard error: $!\n";
    open STDERR, '>', $said or die "cannot write $said: $!\n";
}

sub show_stderr () {
    return unless $stderr;
    open STDERR, '>&', $stderr or die "cannot have standard error back: $!\n";
    undef $stderr;
    open my $in, '<', $said or die "cannot read $said: $!\n";
    while (my $line = <$in>) {
        # A line of the error log has the process there, and patterns may say so.
        my $logged = $line =~ s/^nginx: (\[\w+\]) /$1 0#0: /r;
        print STDERR $line unless $logged ne $line && asked_for $logged, @no_news;
    }
}

# Some mistakes end the file within a block.
END {
    local $?;
    show_stderr;
}

# Waits until FILE, from byte POSITION on, has a line for each of the patterns, or the time is up: then the check that
# follows says what is missing.
sub wait_for_lines ($$@) {
    my ($file, $position, @patterns) = @_;
    return unless @patterns;
    my $end = Time::HiRes::time() + timeout();
    while (1) {
        if (open my $in, '<', $file) {
            seek $in, $position, 0;
            my @lines = <$in>;
            my $missing = grep {
                my $pattern = $_;
                !grep { asked_for $_, $pattern } @lines;
            } @patterns;
            return unless $missing;
        }
        return if Time::HiRes::time() > $end;
        Time::HiRes::sleep(0.02);
    }
}

# Test::Nginx ends the whole run when it cannot go on; here only the file ends. And it tries for half a minute to start an
# nginx that does not like its configuration; here the first [emerg] settles that (another nginx on the port may be going).
sub end_of_file (@) {
    Test::Nginx::Util::cleanup();
    Test::More::fail(join '', @_);
    exit 1;
}

sub end_if_misconfigured () {
    open my $in, '<', $Test::Nginx::Util::ErrLogFile or return;
    my @lines = grep { /\[emerg\]/ && !/bind\(\) to|still could not bind/ } <$in>;
    end_of_file "nginx does not start:\n", @lines if @lines;
}

{
    no warnings 'redefine';

    *Test::Nginx::Util::bail_out = *Test::Nginx::Socket::bail_out = \&end_of_file;

    my $run_test = \&Test::Nginx::Util::run_test;
    *Test::Nginx::Util::run_test = sub ($) {
        my ($block) = @_;
        my $missing = missing split /\s*\n\s*/, $block->needs // '';
        if (defined $missing) {
            Test::More->builder->skip($block->name . ": needs $missing");
            return;
        }
        keep_stderr expected $block->name;
        &$run_test;
        show_stderr;
    };

    my $sleep = \&Test::Nginx::Util::sleep;
    *Test::Nginx::Util::sleep = sub (;@) {
        # Its way to try again: nginx has just exited with an error.
        end_if_misconfigured if $? > 0 && ((caller 1)[3] // '') eq 'Test::Nginx::Util::run_test';
        goto &$sleep;
    };

    # It writes 'http2 on;', which nginx has since 1.25.1 only, and knows nothing of engines.
    my $write_config_file = \&Test::Nginx::Util::write_config_file;
    *Test::Nginx::Util::write_config_file = sub ($$$) {
        my ($block) = @_;
        &$write_config_file;
        my $file = $Test::Nginx::Util::ConfFile;
        open my $in, '<', $file or end_of_file "cannot read $file: $!";
        my $conf = Engine::choose(do { local $/; <$in> });
        $conf =~ s/(listen\s+[^;]+);\s*http2 on;/$1 http2;/g
            if defined $block->http2 && ($ENV{TEST_NGINX_VERSION_NUM} // 0) < 1_025_001;
        open my $out, '>', $file or end_of_file "cannot write $file: $!";
        print $out $conf;
        close $out or end_of_file "cannot write $file: $!";
    };

    my $check_error_log = \&Test::Nginx::Socket::check_error_log;
    *Test::Nginx::Socket::check_error_log = sub ($$$$) {
        my ($block, $res, $dry_run) = @_;
        wait_for_lines $Test::Nginx::Util::ErrLogFile, $Test::Nginx::Util::ErrLogFilePos // 0,
            patterns $block->error_log
            unless $dry_run || defined $block->must_die;
        goto &$check_error_log;
    };

    if (my $check_access_log = Test::Nginx::Socket->can('check_access_log')) {
        *Test::Nginx::Socket::check_access_log = sub ($$$) {
            my ($block, $dry_run) = @_;
            wait_for_lines $Test::Nginx::Util::AccLogFile, 0, patterns $block->access_log unless $dry_run;
            goto &$check_access_log;
        };
    }
}

1;
