package Browser;

# Chromium without a window, for pages that people look at:
#
#     my $why = Browser->missing;                        # why there is none, or undef
#     my $browser = Browser->new('status-page');         # its profile and pictures: build/t/status-page.browser
#     my $seen = $browser->look("http://127.0.0.1:$port/page", width => 360, height => 800, scheme => 'dark', name => 'narrow');
#     $seen->{complaints}                                # what it has to say: errors, what a policy forbids, files that are not there
#     $seen->{picture}                                   # the path of a PNG: NAME.png in that folder
#     $browser->evaluate('document.title')               # in the page that it looks at; scripts of ours work on any page
#     $browser->wait_for('load')                         # until the page has loaded once more
#
# It speaks the DevTools protocol over two pipes (--remote-debugging-pipe): messages of JSON, each with a NUL at its end. Nothing here
# waits for a time, but gives up after one.

use strict;
use warnings;

use Fcntl qw( F_DUPFD );
use File::Path qw( make_path remove_tree );
use IO::Select;
use JSON::PP;
use MIME::Base64 qw( decode_base64 );
use POSIX ();
use Time::HiRes qw( time );

my $json = JSON::PP->new->utf8;

# tools/install.sh brings the first one, in the group 'browser'.
sub binary {
    my $named = $ENV{CHROMIUM};
    return $named if defined $named && $named ne '';
    for my $name (qw( chromium-headless-shell chromium chromium-browser google-chrome )) {
        for my $folder (split /:/, $ENV{PATH}) {
            return "$folder/$name" if -x "$folder/$name";
        }
    }
    return;
}

sub missing {
    return binary() ? undef : 'there is no Chromium here: tools/install.sh browser brings it, or CHROMIUM names one';
}

sub new {
    my ($class, $name) = @_;
    my $root   = $ENV{TEST_WASM_ROOT} or die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n";
    my $folder = "$root/build/t/$name.browser";
    remove_tree($folder);
    make_path("$folder/profile");
    my $self = bless { name => $name, folder => $folder, next => 1, buffer => '', events => [], answers => {} }, $class;

    pipe(my $their_in, my $to)    or die "no pipe: $!\n";
    pipe(my $from, my $their_out) or die "no pipe: $!\n";
    my $pid = fork // die "no process: $!\n";
    if (!$pid) {
        # As numbers 3 and 4, by way of numbers that are neither.
        my @high = map { fcntl($_, F_DUPFD, 10) // die "no number: $!\n" } $their_in, $their_out;
        POSIX::dup2($high[0], 3);
        POSIX::dup2($high[1], 4);
        POSIX::close($_) for @high;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$folder/said.txt";
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec {binary()} binary(), '--headless', '--remote-debugging-pipe', "--user-data-dir=$folder/profile",
            qw( --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update
            --disable-sync --disable-dev-shm-usage --hide-scrollbars --force-color-profile=srgb about:blank );
        POSIX::_exit(127);
    }
    close $their_in;
    close $their_out;
    @$self{qw( pid to from )} = ($pid, $to, $from);
    $to->autoflush;

    my $target = $self->call('Target.createTarget', { url => 'about:blank' })->{targetId};
    $self->{session} = $self->call('Target.attachToTarget', { targetId => $target, flatten => JSON::PP::true })->{sessionId};
    $self->call("$_.enable") for qw( Page Runtime Log Network Audits );
    return $self;
}

# Looks at a page, which has loaded then, and stays as it is unless it lives.
sub look {
    my ($self, $url, %how) = @_;
    $self->call('Emulation.setDeviceMetricsOverride', {
        width => $how{width}, height => $how{height}, deviceScaleFactor => $how{scale} // 1, mobile => JSON::PP::false,
    });
    $self->call('Emulation.setEmulatedMedia', { features => [{ name => 'prefers-color-scheme', value => $how{scheme} // 'light' }] });
    do {
        $self->{events} = [];
        my $gone = $self->call('Page.navigate', { url => $url });
        die "$url: $gone->{errorText}\n" if $gone->{errorText};
        $self->wait_for('load');
        # A page that comes again by itself would do so while it is looked at.
        $self->evaluate('window.stop()') unless $how{lives};
    } while !$how{lives} && (grep { $_->{method} eq 'Page.frameNavigated' } @{ $self->{events} }) > 1;
    my $seen = { complaints => [$self->complaints] };
    if ($how{name}) {
        # Of all that there is, with whole => 1.
        my $whole = $how{whole} ? JSON::PP::true : JSON::PP::false;
        my $shot  = $self->call('Page.captureScreenshot', { format => 'png', captureBeyondViewport => $whole });
        $seen->{picture} = "$self->{folder}/$how{name}.png";
        open my $out, '>:raw', $seen->{picture} or die "cannot write $seen->{picture}: $!\n";
        print $out decode_base64($shot->{data});
        close $out or die "cannot write $seen->{picture}: $!\n";
    }
    return $seen;
}

# What there was to say since look() began, or since it was asked for last.
sub complaints {
    my $self = shift;
    # The answer comes behind all that was to say before.
    $self->evaluate('1');
    my @said;
    for my $event (@{ $self->{events} }) {
        my ($method, $what) = @$event{qw( method params )};
        push @said, $what->{entry}{text} if $method eq 'Log.entryAdded' && $what->{entry}{level} =~ /error|warning/;
        push @said, join ' ', map { $_->{value} // $_->{description} // '' } @{ $what->{args} } if $method eq 'Runtime.consoleAPICalled';
        push @said, $what->{exceptionDetails}{text} if $method eq 'Runtime.exceptionThrown';
        push @said, "not loaded: $what->{errorText}" if $method eq 'Network.loadingFailed';
        push @said, $what->{issue}{code} if $method eq 'Audits.issueAdded';
    }
    $self->{events} = [];
    return @said;
}

# The value of an expression in the page.
sub evaluate {
    my ($self, $expression) = @_;
    my $answer = $self->call('Runtime.evaluate', { expression => $expression, returnByValue => JSON::PP::true });
    die "$expression: $answer->{exceptionDetails}{text}\n" if $answer->{exceptionDetails};
    return $answer->{result}{value};
}

# Waits until the page has loaded, or what else Page.…EventFired says of it.
sub wait_for {
    my ($self, $what) = @_;
    $self->receive until grep { $_->{method} eq "Page.${what}EventFired" } @{ $self->{events} };
    return;
}

sub call {
    my ($self, $method, $params) = @_;
    my $id = $self->{next}++;
    my %message = (id => $id, method => $method, params => $params // {});
    $message{sessionId} = $self->{session} if $self->{session};
    print { $self->{to} } $json->encode(\%message), "\0" or die "$self->{name}: Chromium does not listen: $!\n";
    $self->receive until $self->{answers}{$id};
    my $answer = delete $self->{answers}{$id};
    die "$self->{name}: $method: $answer->{error}{message}\n" if $answer->{error};
    return $answer->{result};
}

sub receive {
    my $self = shift;
    my $end  = time + 60;
    while ((my $at = index $self->{buffer}, "\0") < 0) {
        IO::Select->new($self->{from})->can_read($end - time)
            or die "$self->{name}: Chromium says nothing; what it said before is in $self->{folder}/said.txt\n";
        sysread($self->{from}, $self->{buffer}, 1 << 20, length $self->{buffer})
            or die "$self->{name}: Chromium has ended; what it said is in $self->{folder}/said.txt\n";
    }
    my ($message, $rest) = split /\0/, $self->{buffer}, 2;
    $self->{buffer} = $rest;
    my $said = $json->decode($message);
    if (defined $said->{id}) { $self->{answers}{ $said->{id} } = $said }
    else                     { push @{ $self->{events} }, $said }
    return;
}

sub DESTROY {
    my $self = shift;
    local ($?, $!);
    return unless $self->{pid};
    # It ends with its pipes.
    close $self->{to};
    close $self->{from};
    waitpid $self->{pid}, 0;
    remove_tree("$self->{folder}/profile");
    return;
}

1;
