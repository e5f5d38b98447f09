package Calls;

# An nginx whose filter `calls` (t/guests/README.md) calls what a test says:
#
#     my $calls = Calls->new('calls-http', http => '...', server => '...', main => '...');    # started
#     my $came  = $calls->ask("call a 127.0.0.1:$port GET /echo; answer 200");
#     $came->{a}{status}            # of the answer; 0 when there was none, 'BadArgument' when it was refused
#     $came->{a}{headers}{name}     # values, joined by ', '; {trailers}; {body}; {counts}; {get_status}: [code, message]
#     $came->{a}{echo}              # what /echo got, with its {headers} in the same form, and {raw_headers}
#     $calls->failure($target)      # why the last call to it failed, by the error log; '' unless there is just one line
#     $calls->finish;               # every call has ended once, and nginx has logged nothing bad
#
# Locations: / has the filter and answers "ok"; /metrics; those of `server` come before them. {nginx} is a NginxProcess.

use strict;
use warnings;

use JSON::PP ();
use NginxProcess;
use Test::More ();

sub new {
    my ($class, $name, %part) = @_;
    my $root = $ENV{TEST_WASM_ROOT} or die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n";
    my $nginx = NginxProcess->new($name, map { defined $part{$_} ? ($_ => $part{$_}) : () } qw( workers connections ));
    my $self = bless { nginx => $nginx, guests => "$root/build/guests" }, $class;
    $self->configure(%part);
    $nginx->start or Test::More::BAIL_OUT("nginx does not start: $nginx->{output}");
    return $self;
}

sub configure {
    my ($self, %part) = @_;
    my $modules = join ' ', map {"module $_->[0] $self->{guests}/$_->[1].wasm;"}
        ['calls', 'rust-calls'], @{ $part{modules} // [] };
    $part{$_} //= '' for qw( main http server location );
    $self->{nginx}->configure(
        main   => "wasm { $modules }\n$part{main}",
        # Statements in a header may be long.
        http   => "large_client_header_buffers 4 32k;\n$part{http}",
        server => <<"CONF",
$part{server}
location = /metrics { wasm_metrics; }
location / { proxy_wasm calls; $part{location} return 200 "ok\\n"; }
CONF
    );
    return;
}

# Options: path, method, body, headers; raw: the response itself.
sub ask {
    my ($self, $statements, %option) = @_;
    $self->{from} = length $self->{nginx}->log;
    my $response = $self->{nginx}->request(
        $option{method} // (defined $option{body} ? 'POST' : 'GET'), $option{path} // '/t',
        { 'x-calls' => $statements =~ s/\s*\n\s*/; /gr, %{ $option{headers} // {} } }, $option{body},
    );
    return $response if $option{raw};
    my $report = eval { JSON::PP::decode_json($response->{content}) };
    if (!$report) {
        Test::More::diag("'$statements' got: $response->{status} $response->{content}");
        return {};
    }
    return $self->read($report);
}

sub read {
    my ($self, $report) = @_;
    my %came = (open => $report->{open}, events => $report->{events});
    for my $event (@{ $report->{events} }) {
        $event->{raw_headers} = $event->{headers};
        $event->{$_} = joined($event->{$_}) for qw( headers trailers );
        $event->{get_status} = $event->{status};
        $event->{status}
            = $event->{kind} eq 'refused' ? $event->{body}
            : $event->{kind} eq 'grpc' || $event->{kind} eq 'close' ? $event->{counts}[0]
            :                                                         $event->{headers}{':status'} // 0;
        if ($event->{body} =~ /^\{"method"/) {
            $event->{echo} = JSON::PP::decode_json($event->{body});
            my $echo = $event->{echo};
            $echo->{"raw_$_"} = $echo->{$_} for qw( headers trailers );
            $echo->{$_} = joined($echo->{$_}) for qw( headers trailers );
        }
        # Streams have several events.
        $came{ $event->{name} } //= $event;
        push @{ $came{all}{ $event->{name} } }, $event;
    }
    return \%came;
}

sub joined {
    my %joined;
    for my $pair (@{ $_[0] }) {
        my ($name, $value) = (lc $pair->[0], $pair->[1]);
        $joined{$name} = defined $joined{$name} ? "$joined{$name}, $value" : $value;
    }
    return \%joined;
}

# What the error log has since the last ask() began.
sub log { return substr $_[0]{nginx}->log, $_[0]{from} // 0 }

# The line precedes the callback, and so the response.
sub failures {
    my ($self, $target) = @_;
    my @causes = $self->log =~ /^\S+ \S+ \[error\] \S+ (?:\*\d+ )?wasm filter "\w+": call \d+ to "\Q$target\E" failed: (.*)$/mg;
    s/(?: while [^,]*)?, (?:client|context): .*// for @causes;
    return @causes;
}

sub failure {
    my ($self, $target) = @_;
    my @causes = $self->failures($target);
    return $causes[0] if @causes == 1;
    Test::More::diag('the error log has, of failures: ', join "\n", grep {/failed/} split /\n/, $self->log);
    return '';
}

# One call that must fail: with a callback without anything, one line in the log, and the request goes on.
sub fails {
    my ($self, $target, $rest, $cause, $name) = @_;
    my $came = $self->ask("call a $target $rest; answer 200");
    my $a    = $came->{a} // {};
    Test::More::is_deeply(
        [$a->{kind}, $a->{counts}, $a->{raw_headers}, $a->{body}, $a->{trailers}],
        ['response', [0, 0, 0], [], '', {}],
        "$name: the callback has nothing",
    ) or Test::More::diag(Test::More::explain($came));
    Test::More::like($self->failure($target), $cause, "$name: one line of the log says why");
    Test::More::like($a->{get_status}[1] // '', qr/./, "$name: so does proxy_get_status");
    return $a;
}

sub metric {
    my ($self, $name) = @_;
    my ($value) = $self->{nginx}->get('/metrics')->{content} =~ /^$name (\d+)$/m;
    return $value // 0;
}

sub finish {
    my $self = shift;
    $self->{nginx}->wait_for('the end of all calls', sub { $self->metric('calls_begun') == $self->metric('calls_ended') });
    Test::More::cmp_ok($self->metric('calls_begun'), '>', 0, 'each call has ended once');
    my @bad = grep {/\[(?:alert|emerg|crit)\]|panicked|exited on signal/} split /\n/, $self->{nginx}->log;
    Test::More::is("@bad", '', 'nothing bad is in the error log');
    return;
}

1;
