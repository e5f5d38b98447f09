package MetricsPage;

# What a page of metrics says:
#
#     my $page = MetricsPage->get($nginx);                           # '/metrics' of a NginxProcess; or ->of($text)
#     $page->value('wasm_filter_traps_total', filter => 'probe')     # of the one sample with these labels; undef without one
#     $page->samples('wasm_filter_info')                             # all: [{ labels }, value]
#     $page->{type}{NAME}, $page->{help}{NAME}                       # what is said of a family
#     $page->{text}
#
# Whatever is no line of the text format fails. promtool, and the parser of OpenMetrics, are for the test files to call.

use strict;
use warnings;

my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;

sub get {
    my ($class, $nginx, %headers) = @_;
    my $response = $nginx->get('/metrics', \%headers);
    die "metrics: $response->{status} $response->{content}\n" if $response->{status} != 200;
    return $class->of($response->{content});
}

sub of {
    my ($class, $text) = @_;
    my $self = bless { text => $text, samples => {}, type => {}, help => {} }, $class;
    for my $line (split /\n/, $text) {
        next if $line eq '# EOF';
        if ($line =~ /^# HELP ($name) (.+)$/) {
            $self->{help}{$1} = $2;
        }
        elsif ($line =~ /^# TYPE ($name) (\w+)$/) {
            $self->{type}{$1} = $2;
        }
        elsif ($line =~ /^($name)(?:\{(.*)\})? (\S+)$/) {
            my ($sample, $labels, $value) = ($1, $2 // '', $3);
            my %labels;
            while ($labels =~ /\G($name)="((?:[^"\\]|\\.)*)",?/gc) {
                my ($label, $said) = ($1, $2);
                $labels{$label} = $said =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ger;
            }
            die "labels of '$line'\n" if (pos $labels // 0) != length $labels;
            push @{ $self->{samples}{$sample} }, [\%labels, $value];
        }
        else {
            die "not a line of the text format: '$line'\n";
        }
    }
    return $self;
}

sub samples { return @{ $_[0]{samples}{ $_[1] } // [] } }

sub value {
    my ($self, $sample, %wanted) = @_;
    my @found = grep { my $labels = $_->[0]; !grep { ($labels->{$_} // '') ne $wanted{$_} } keys %wanted } $self->samples($sample);
    die "$sample: " . @found . " samples have these labels\n" if @found > 1;
    return @found ? $found[0][1] : undef;
}

1;
