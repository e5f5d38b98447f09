package Coded;

# An upstream whose responses are encoded, rightly or wrongly, whatever the client accepts:
#
#     use Coded;
#     my $upstream = Coded->start($port);                      # ended with the test file
#
# A path is /FORM or /FORM/TEXT; without TEXT the body is "a secret" and a line break. Forms:
#
#     gzip, x-gzip, zlib, raw       what their names say (the last two as deflate)
#     unsized                       gzip in chunks, a chunk for each byte
#     members, padded, trailing     two members of gzip; zeros, or other bytes behind the only one
#     none                          gzip of no bytes, in chunks; zero: with content-length 0
#     cut, spoiled, sum, plain      gzip that ends early, is damaged, has a wrong checksum; what is no gzip at all
#     late                          damaged behind noise(100000)
#     br, twice, part               another coding; gzip twice; a part of gzip, with 206
#     not-modified                  304
#     zeros                         16 MiB of zeros, of which a byte of gzip makes about a thousand
#     zeros-open                    6 MiB of them, without an end
#     events                        gzip, flushed before "one", after it and after "two"; each of them when a line comes from
#                                   the control port (see below)
#
# x-accepted has the Accept-Encoding that came.

use strict;
use warnings;

use Compress::Raw::Zlib qw( WANT_GZIP Z_BEST_COMPRESSION Z_FULL_FLUSH Z_SYNC_FLUSH );
use IO::Compress::Deflate qw( deflate );
use IO::Compress::Gzip qw( gzip );
use IO::Compress::RawDeflate qw( rawdeflate );
use IO::Socket::INET;

use Upstream;

sub start {
    my ($class, $port) = @_;
    return Upstream->start($port, \&serve);
}

sub gzipped {
    my $text = shift;
    gzip(\$text, \my $body, -Minimal => 1, -Level => Z_BEST_COMPRESSION) or die "no gzip\n";
    return $body;
}

# Text that does not compress well.
sub noise {
    my $count = shift;
    my $state = 1;
    return join '', map { $state = ($state * 1103515245 + 12345) % 2**31; chr(32 + ($state >> 16) % 95) } 1 .. $count;
}

sub body {
    my ($form, $text) = @_;
    if ($form eq 'zlib') { deflate(\$text, \my $body); return $body }
    if ($form eq 'raw') { rawdeflate(\$text, \my $body); return $body }
    return '' if $form eq 'none' || $form eq 'zero';
    return $text if $form eq 'plain' || $form eq 'br';
    return gzipped("\0" x (($form eq 'zeros' ? 16 : 6) << 20)) if $form =~ /^zeros/;
    my $body = gzipped($text);
    return $body . gzipped("and $text") if $form eq 'members';
    return $body . "\0" x 100 if $form eq 'padded';
    return $body . 'something else' if $form eq 'trailing';
    return substr $body, 0, length($body) - 3 if $form eq 'cut';
    return substr $body, 3 if $form eq 'part';
    return gzipped($body) if $form eq 'twice';
    if ($form eq 'spoiled') { substr($body, 10, 4) = "\xff" x 4 }
    if ($form eq 'sum') { substr($body, -8, 1) ^= "\x01" }
    if ($form eq 'late') {
        my ($stream) = Compress::Raw::Zlib::Deflate->new(-WindowBits => WANT_GZIP, -AppendOutput => 1);
        $body = '';
        $stream->deflate(noise(100_000), $body);
        $stream->flush($body, Z_FULL_FLUSH);
        # There is no such kind of block.
        $body .= "\x07" x 20;
    }
    return $body;
}

my %coding = (
    'x-gzip' => 'x-gzip', zlib => 'deflate', raw => 'deflate', br => 'br', twice => 'gzip, gzip', map { $_ => 'gzip' } qw(
        gzip unsized members padded trailing none zero cut spoiled sum plain late part not-modified zeros zeros-open
        events ),
);

sub serve {
    my $client = shift;
    binmode $client;
    $client->autoflush(1);
    $SIG{PIPE} = 'IGNORE';
    my $head = '';
    while ($head !~ /\r\n\r\n/) {
        sysread($client, $head, 1, length $head) or return;
    }
    my ($method, $path) = $head =~ /^(\S+) (\S+)/;
    my ($accepted) = $head =~ /^accept-encoding: *(.*?)\r$/im;
    $accepted //= 'none';
    my (undef, $form, $text) = split m{/}, $path;
    $text = defined $text ? "$text\n" : "a secret\n";
    my $status = $form eq 'part' ? '206 Partial Content' : $form eq 'not-modified' ? '304 Not Modified' : '200 OK';
    my @lines  = (
        'Connection: close', 'Content-Type: text/plain', "X-Accepted: $accepted", 'ETag: "tag"',
        'Last-Modified: Mon, 28 Sep 1970 06:00:00 GMT', 'Accept-Ranges: bytes', 'Content-MD5: nonsense',
    );
    push @lines, "Content-Encoding: $coding{$form}";
    push @lines, 'Content-Range: bytes 3-99/100' if $form eq 'part';
    my $body = body($form, $text);
    my $is_chunked = $form =~ /^(?:unsized|none|events|zeros-open)$/;
    push @lines, $is_chunked ? 'Transfer-Encoding: chunked' : 'Content-Length: ' . length $body if $form ne 'not-modified';
    print $client join "\r\n", "HTTP/1.1 $status", @lines, '', '';
    return if $method eq 'HEAD' || $form eq 'not-modified';
    return events($client) if $form eq 'events';
    my $part = $form eq 'unsized' ? 1 : length $body || 1;
    if ($is_chunked) {
        print $client sprintf("%x\r\n%s\r\n", length $_, $_) for unpack "(a$part)*", $body;
        if ($form eq 'zeros-open') {
            # Until nginx closes.
            sysread $client, my $byte, 1;
            return;
        }
        print $client "0\r\n\r\n";
    } else {
        print $client $body;
    }
    return;
}

# Says when it is at a step, and waits for the test to allow it: see decode.t.
sub events {
    my $client  = shift;
    my $control = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ENV{CODED_CONTROL}) or return;
    my ($stream) = Compress::Raw::Zlib::Deflate->new(-WindowBits => WANT_GZIP, -AppendOutput => 1);
    for my $text ('', 'one', 'two') {
        my $line = <$control>;
        my $body = '';
        $stream->deflate($text, $body);
        $stream->flush($body, Z_SYNC_FLUSH);
        print $client sprintf("%x\r\n%s\r\n", length $body, $body);
    }
    my $line = <$control>;
    my $body = '';
    $stream->flush($body);
    print $client sprintf("%x\r\n%s\r\n0\r\n\r\n", length $body, $body);
    return;
}

1;
