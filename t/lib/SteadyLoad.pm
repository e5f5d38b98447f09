package SteadyLoad;

# Requests that go on, in a process of their own, while a test does something to nginx:
#
#     my $load = SteadyLoad->begin($nginx->port, 24,          # as many connections at once
#         request => sub { my $n = shift; ... },              # what the Nth request has to say
#         wrong   => sub { my ($n, $bytes) = @_; ... },       # what is wrong with its answer; nothing when it is right
#     );
#     $load->wait_for_more(100);                              # until so many more have been answered
#     my ($answered, @wrong) = $load->end;                    # stops, and waits for the last answers
#
# Each request has a connection of its own. One that cannot connect ends the load, and end() dies.

use strict;
use warnings;

use File::Temp ();
use LoadClient;
use POSIX ();
use Time::HiRes qw( sleep time );

my @children;

sub begin {
    my ($class, $port, $width, %option) = @_;
    my %file = map { $_ => File::Temp->new(UNLINK => 1) } qw( answered wrong stop );
    my $pid  = fork // die "cannot fork: $!\n";
    if ($pid == 0) {
        my $is_over = eval {
            LoadClient::run($port, $width,
                within  => 600,
                request => sub { return -s $file{stop}->filename ? undef : $option{request}->(@_) },
                answer  => sub {
                    my ($n, $bytes) = @_;
                    my $wrong = $option{wrong}->($n, $bytes);
                    syswrite $file{answered}, '.';
                    syswrite $file{wrong}, "request $n: $wrong\n" if defined $wrong;
                },
            );
            1;
        };
        syswrite $file{wrong}, "the load ended: $@" unless $is_over;
        POSIX::_exit($is_over ? 0 : 1);
    }
    push @children, $pid;
    return bless { pid => $pid, %file }, $class;
}

sub answered { return -s $_[0]{answered}->filename }

sub wait_for_more {
    my ($self, $count) = @_;
    my ($end, $wanted) = (time + 60, $self->answered + $count);
    while ($self->answered < $wanted) {
        die "waited in vain for $count answers\n" . $self->wrong if time > $end || waitpid($self->{pid}, POSIX::WNOHANG()) != 0;
        sleep 0.02;
    }
    return;
}

sub wrong {
    my $self = shift;
    open my $in, '<', $self->{wrong}->filename or die "cannot read what was wrong: $!\n";
    local $/;
    return <$in> // '';
}

sub end {
    my $self = shift;
    syswrite $self->{stop}, '.';
    waitpid $self->{pid}, 0;
    my $status = $?;
    @children = grep { $_ != $self->{pid} } @children;
    die 'the load did not end well: ' . $self->wrong if $status != 0;
    return ($self->answered, split /^(?=request \d+:)/m, $self->wrong);
}

END {
    local $?;
    for my $pid (@children) {
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }
}

1;
