#!/usr/bin/perl
# Builds mails with MIME::Lite, MIME::Entity and Email::MIME: a JSON request a line, the mail in base64 a line.
use strict;
use warnings;
use Email::MIME;
use JSON::PP;
use MIME::Base64;
use MIME::Entity;
use MIME::Lite;

$| = 1;
while (my $line = <STDIN>) {
    my $ask = decode_json($line);
    my $data = decode_base64($ask->{data});
    my $type = join '; ', $ask->{type}, map { "$_->[0]=\"$_->[1]\"" } @{$ask->{params}};
    my $wide = $ask->{name};
    utf8::encode($ask->{$_}) for qw(from to subject date id type encoding builder);
    utf8::encode($type);
    my $name = $ask->{name} eq '' ? undef : $ask->{name};
    utf8::encode($name) if defined $name;
    my $mail;
    if ($ask->{builder} eq 'mime-lite') {
        my $whole = MIME::Lite->new(From => $ask->{from}, To => $ask->{to}, Subject => $ask->{subject}, Date => $ask->{date}, 'Message-ID:' => $ask->{id}, Type => 'multipart/mixed');
        $whole->attach(Type => 'TEXT', Data => "see the part\n");
        my $part = $whole->attach(Type => $type, Encoding => $ask->{encoding}, Data => $data, (defined $name ? (Filename => $name, Disposition => 'attachment') : ()));
        $mail = $whole->as_string;
    } elsif ($ask->{builder} eq 'mime-entity') {
        my $whole = MIME::Entity->build(From => $ask->{from}, To => $ask->{to}, Subject => $ask->{subject}, Date => $ask->{date}, 'Message-Id' => $ask->{id}, Type => 'multipart/mixed');
        $whole->attach(Type => 'text/plain', Data => "see the part\n");
        $whole->attach(Type => $type, Encoding => $ask->{encoding}, Data => $data, (defined $name ? (Filename => $name, Disposition => 'attachment') : ()));
        $mail = $whole->stringify;
    } else {
        my %attributes = map { ($_->[0] => $_->[1]) } grep { $_->[0] eq 'charset' || $_->[0] eq 'format' } @{$ask->{params}};
        my $whole = Email::MIME->create(
            header_str => [From => $ask->{from}, To => $ask->{to}, Subject => $ask->{subject}, Date => $ask->{date}, 'Message-ID' => $ask->{id}],
            attributes => { content_type => 'multipart/mixed' },
            parts => [
                Email::MIME->create(attributes => { content_type => 'text/plain' }, body => "see the part\n"),
                Email::MIME->create(attributes => { content_type => $ask->{type}, encoding => $ask->{encoding}, %attributes, (defined $name ? (disposition => 'attachment', filename => $wide) : ()) }, body => $data),
            ],
        );
        $mail = $whole->as_string;
    }
    # Octets that stood beside a text of letters became letters: they are made octets again. Encoded once more,
    # no reader would see what was written.
    utf8::downgrade($mail, 1) or utf8::encode($mail);
    print encode_base64($mail, ''), "\n";
}
