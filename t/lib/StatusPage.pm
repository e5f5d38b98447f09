package StatusPage;

# What the page of 'wasm_status html' says:
#
#     my $page = StatusPage->get($nginx);            # '/page' of a NginxProcess; or ->of($html)
#     $page->{title}
#     $page->{notices}                               # what stands on top: [text]
#     $page->{facts}{Workers}                        # text
#     $page->rows('Filters')                         # all of a table, in order: [{ heading => text }]
#     $page->row('Filters', 'auth')                  # the one that is about 'auth': what its first cell begins with
#
# Whatever is not well formed, and a tag or an attribute that the page is not made of, fails. A text is that of all elements in it, with
# a blank between two.

use strict;
use warnings;

my %void = map { $_ => 1 } qw( meta br rect );
my %tags = (%void, map { $_ => 1 } qw( html head title style body header main section h1 h2 p time dl div dt dd small i span code strong
    table thead tbody tr th td svg ));
my %attributes = map { $_ => 1 } qw( lang charset http-equiv content name datetime title class role scope data-label tabindex aria-label
    aria-hidden viewBox preserveAspectRatio width height );
my %entities = ('&amp;' => '&', '&lt;' => '<', '&gt;' => '>', '&quot;' => '"', '&#39;' => q(') );

sub get {
    my ($class, $nginx) = @_;
    my $response = $nginx->get('/page');
    die "page: $response->{status} $response->{content}\n" if $response->{status} != 200;
    return $class->of($response->{content});
}

sub of {
    my ($class, $html) = @_;
    utf8::decode($html) or die "the page is not UTF-8\n";
    $html =~ s/\A<!DOCTYPE html>\n// or die "the page does not say what it is\n";
    my $self = bless { notices => [], facts => {}, tables => {} }, $class;
    my (@open, %text, $heading, $fact, $cells, @columns);
    while ($html =~ /\G(?:<(\/?)([a-z][a-z0-9]*)((?: [a-zA-Z-]+(?:="[^"<>]*")?)*)(\/?)>|([^<]+))/gc) {
        my ($is_end, $tag, $attributes, $is_empty, $text) = ($1, $2, $3, $4, $5);
        if (defined $text) {
            # Of the style nothing is said here.
            next if @open && $open[-1] eq 'style';
            die "not a text: '$text'\n" if $text =~ />/;
            $text =~ s/(&[^;]*;?)/$entities{$1} \/\/ die "not an entity: '$1'\n"/ge;
            $text =~ tr/\x{a0}/ /;
            next if $text !~ /\S/;
            $text{$_} = join ' ', grep { defined } $text{$_}, $text =~ s/^\s+|\s+$//gr for @open;
            next;
        }
        die "not a tag of the page: '$tag'\n" unless $tags{$tag};
        while ($attributes =~ / ([a-zA-Z-]+)(?:="([^"]*)")?/g) {
            my ($name, $value) = ($1, $2 // '');
            die "not an attribute of the page: '$name'\n" unless $attributes{$name};
            push @{ $self->{classes}{$tag} }, $value if $name eq 'class';
        }
        if (!$is_end) {
            if ($tag eq 'tr') { $cells = [] }
            if ($tag eq 'table') { @columns = () }
            next if $void{$tag} || $is_empty;
            push @open, $tag;
            delete $text{$tag} if $tag =~ /^(?:title|p|dt|dd|h2|th|td)$/;
            next;
        }
        my $began = pop @open // '';
        die "'$tag' ends where '$began' should\n" if $began ne $tag;
        my $said = $text{$tag} // '';
        if    ($tag eq 'title') { $self->{title} = $said }
        elsif ($tag eq 'p' && !$heading) { push @{ $self->{notices} }, $said if @open && $open[-1] eq 'main' }
        elsif ($tag eq 'p')     { push @{ $self->{notes}{$heading} }, $said }
        elsif ($tag eq 'dt')    { $fact = $said }
        elsif ($tag eq 'dd')    { $self->{facts}{$fact} = $said }
        elsif ($tag eq 'h2')    { $heading = $said }
        elsif ($tag =~ /^t[hd]$/) { push @$cells, $said }
        elsif ($tag eq 'tr' && grep { $_ eq 'thead' } @open) { @columns = @$cells }
        elsif ($tag eq 'tr') {
            die "$heading: @{[ scalar @$cells ]} cells, and @{[ scalar @columns ]} columns\n" if @$cells != @columns;
            my %row;
            @row{@columns} = @$cells;
            $row{about} = $cells->[0];
            push @{ $self->{tables}{$heading} }, \%row;
        }
    }
    die "not HTML: '" . substr($html, pos($html) // 0, 80) . "'\n" if (pos($html) // 0) != length $html;
    die "not closed: @open\n" if @open;
    return $self;
}

sub rows { return @{ $_[0]{tables}{ $_[1] } // [] } }

sub row {
    my ($self, $table, $about) = @_;
    my @found = grep { $_->{about} =~ /^\Q$about\E(?: |$)/ } $self->rows($table);
    die "$table: " . @found . " rows are about '$about'\n" if @found != 1;
    return $found[0];
}

1;
