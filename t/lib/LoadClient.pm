package LoadClient;

# Many requests at the same time, each on a connection of its own, and none of them twice:
#
#     LoadClient::run($nginx->port, 200,              # as many connections at once
#         request => sub { my $n = shift; ... },      # what the Nth has to say, from 0 on; undef: that were all
#         answer  => sub { my ($n, $bytes) = @_; },   # all that came for it, until the server closed
#         within  => 60,                              # dies when it takes longer (seconds)
#     );

use strict;
use warnings;

use Errno qw( EAGAIN EINPROGRESS EINTR EWOULDBLOCK );
use IO::Poll qw( POLLERR POLLHUP POLLIN POLLOUT );
use IO::Socket::INET;
use Time::HiRes qw( time );

sub run {
    my ($port, $width, %option) = @_;
    my $end  = time + $option{within};
    my $poll = IO::Poll->new;
    my (%open, $is_over);
    my $next = 0;
    local $SIG{PIPE} = 'IGNORE';
    while (1) {
        while (!$is_over && keys %open < $width) {
            my $words = $option{request}->($next) // do { $is_over = 1; last };
            my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Blocking => 0)
                or die "request $next: cannot connect: $!\n";
            binmode $socket;
            $open{ fileno $socket } = { socket => $socket, number => $next++, unsent => $words, read => '' };
            $poll->mask($socket => POLLOUT);
        }
        last unless %open;
        die 'waited in vain for the answers to ' . keys(%open) . ' requests, such as ' . (values %open)[0]{number} . "\n" if time > $end;
        $poll->poll(1) >= 0 or $! == EINTR or die "poll: $!\n";
        for my $socket ($poll->handles(POLLOUT)) {
            my $one  = $open{ fileno $socket };
            my $sent = syswrite $socket, $one->{unsent};
            if (defined $sent) {
                substr $one->{unsent}, 0, $sent, '';
                $poll->mask($socket => POLLIN) if $one->{unsent} eq '';
            } elsif (!is_later()) {
                # What came, if anything, tells more than the error.
                $poll->mask($socket => POLLIN);
            }
        }
        for my $socket ($poll->handles(POLLIN | POLLHUP | POLLERR)) {
            my $one = $open{ fileno $socket };
            my $got = sysread $socket, $one->{read}, 65536, length $one->{read};
            next if $got || !defined $got && is_later();
            $one->{read} .= "[$!]" unless defined $got;
            $poll->remove($socket);
            delete $open{ fileno $socket };
            close $socket;
            $option{answer}->($one->{number}, $one->{read});
        }
    }
    return;
}

sub is_later { return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR || $! == EINPROGRESS }

1;
