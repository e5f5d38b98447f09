package HeadServer;

# An upstream that answers each request with its head, byte for byte as it came, and keeps connections:
#
#     my $upstream = HeadServer->new;                        # on 127.0.0.1, as a process of its own
#     proxy_pass http://127.0.0.1:@{[ $upstream->port ]};
#
# The header x-connection of its answer counts connections, x-body the bytes of the request's body, which has a Content-Length
# or none. It ends with the test file.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;

my @children;

sub new {
    my $class    = shift;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64, ReuseAddr => 1)
        or die "cannot listen on 127.0.0.1: $!\n";
    my $pid = fork // die "cannot fork: $!\n";
    if ($pid == 0) {
        local $SIG{PIPE} = 'IGNORE';
        serve($listener);
        require POSIX;
        POSIX::_exit(0);
    }
    push @children, $pid;
    return bless { port => $listener->sockport }, $class;
}

sub port { return $_[0]{port} }

sub serve {
    my $listener = shift;
    my $select   = IO::Select->new($listener);
    my ($count, %read, %number) = (0);
    while (my @ready = $select->can_read) {
        for my $socket (@ready) {
            if ($socket == $listener) {
                my $connection = $listener->accept or next;
                binmode $connection;
                $select->add($connection);
                ($read{$connection}, $number{$connection}) = ('', ++$count);
                next;
            }
            if (!sysread $socket, $read{$socket}, 65536, length $read{$socket}) {
                $select->remove($socket);
                delete $read{$socket};
                close $socket;
                next;
            }
            while ($read{$socket} =~ /\A(.*?\r\n)\r\n/s) {
                my $head = $1;
                my ($body) = $head =~ /^content-length: *(\d+)/mi;
                my $size = length($head) + 2 + ($body // 0);
                last if length $read{$socket} < $size;
                substr($read{$socket}, 0, $size) = '';
                printf $socket "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nx-connection: %d\r\nx-body: %d\r\n\r\n%s",
                    length $head, $number{$socket}, $body // 0, $head;
                $socket->flush;
            }
        }
    }
    return;
}

END {
    local $?;
    for my $pid (@children) {
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }
}

1;
