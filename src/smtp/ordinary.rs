//! Passes over ordinary content quickly, a block at a time. Each octet is only compared with the one before it, without
//! a branch, so that the compiler compares many at once. What is not ordinary is looked at line by line.

/// The size of a block, in octets.
pub(super) const BLOCK: usize = 256;

/// How many octets at the front are ordinary: lines that end in CRLF and do not begin with a dot, without a NUL. Only
/// whole blocks count. If the last octet is a CR, it is left, because its LF has not been seen.
pub(super) fn ordinary(octets: &[u8], line_start: bool) -> usize {
    let before = if line_start { b'\n' } else { b' ' };
    let [first, rest @ ..] = octets else { return 0 };
    if rest.len() < BLOCK || is_odd(before, *first) != 0 {
        return 0;
    }
    let (before, after) = (octets.as_chunks::<BLOCK>().0, rest.as_chunks::<BLOCK>().0);
    let odd = before.iter().zip(after).position(|(before, after)| {
        let pairs = before.iter().zip(after);
        pairs.fold(0, |odd, (&before, &octet)| odd | is_odd(before, octet)) != 0
    });
    match odd.unwrap_or(after.len()) * BLOCK {
        0 => 0,
        last if octets[last] == b'\r' => last,
        last => last + 1,
    }
}

/// Not zero if an octet must not be passed over after this one.
fn is_odd(before: u8, octet: u8) -> u8 {
    let is = |octet: u8, wanted: u8| u8::from(octet == wanted);
    is(octet, b'\n') ^ is(before, b'\r') | is(octet, b'.') & is(before, b'\n') | is(octet, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Stuffer;
    use crate::smtp::content::{BareLf, Content, Fault, Step};
    use bytes::BytesMut;
    use proptest::prelude::*;

    /// Stuffed content octet by octet: the content, and the first fault in it.
    fn stuffed(octets: &[u8]) -> (Vec<u8>, Option<Fault>) {
        let (mut out, mut fault, mut before) = (Vec::new(), None, b"\r\n".to_vec());
        for (at, &octet) in octets.iter().enumerate() {
            let wrong = match (octet, octets.get(at + 1)) {
                (0, _) => Some(Fault::Nul),
                (b'\r', Some(&next)) if next != b'\n' => Some(Fault::BareCr),
                (b'\n', _) if !before.ends_with(b"\r") => Some(Fault::BareLf),
                _ => None,
            };
            fault = fault.or(wrong);
            if octet == b'.' && before.ends_with(b"\r\n") {
                out.push(b'.');
            }
            out.push(octet);
            before.push(octet);
        }
        (out, fault)
    }

    const ODD: &[&[u8]] = &[b"\n", b"\r", b"\0", b"\r\r\n", b"\n.\r\n", b"\r.", b"a\n.\n"];

    /// Content of several blocks: lines of any length, and here and there what is not ordinary.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            40 => (0_usize..300).prop_map(|length| [&b"x.".repeat(length / 2)[..], b"\r\n"].concat()),
            6 => (1_usize..40).prop_map(|length| [&b".".repeat(length)[..], b"\r\n"].concat()),
            1 => prop::sample::select(ODD).prop_map(<[u8]>::to_vec),
        ];
        prop::collection::vec(line, 0..30).prop_map(|lines| [lines.concat(), b"\r\n".to_vec()].concat())
    }

    proptest! {
        #[test]
        fn blocks_are_read_and_stuffed_as_octets_are(
            content in content(), cuts in prop::collection::vec(1_usize..900, 1..9)
        ) {
            let (expected, fault) = stuffed(&content);
            let mut sizes = cuts.iter().cycle().copied();
            let mut pieces = Vec::new();
            let mut rest = &content[..];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }

            let (mut stuffer, mut sent) = (Stuffer::new(), Vec::new());
            let done = pieces.iter().try_for_each(|piece| stuffer.append(piece, &mut sent));
            let bare = matches!(fault, Some(Fault::BareCr | Fault::BareLf));
            // A NUL is refused by whoever takes mail in, and sent by nobody.
            if fault != Some(Fault::Nul) {
                prop_assert_eq!(done.is_err(), bare);
            }
            if fault.is_none() {
                prop_assert_eq!(&sent, &expected);
            }

            let (mut reader, mut input, mut read) = (Content::new(1 << 30, BareLf::Refuse), BytesMut::new(), Vec::new());
            let ending = [&expected[..], b".\r\nNOOP\r\n"].concat();
            let mut pieces = ending.chunks(cuts[0]);
            let ended = loop {
                match reader.next(&mut input) {
                    Step::Octets(octets) => read.extend_from_slice(&octets),
                    Step::End => break true,
                    Step::More => match pieces.next() {
                        Some(piece) => input.extend_from_slice(piece),
                        None => break false,
                    },
                }
            };
            prop_assert!(ended);
            prop_assert_eq!(reader.fault(), fault);
            if fault.is_none() {
                prop_assert_eq!(read, content);
            }
        }
    }

    #[test]
    fn nothing_odd_is_passed_over() {
        let lines = b"twelve octets\r\n".repeat(40);
        assert!(ordinary(&lines, true) >= 2 * BLOCK);
        for at in 0..2 * BLOCK {
            for octet in [b'\r', b'\n', b'\0', b'.'] {
                let mut octets = lines.clone();
                octets[at] = octet;
                let inside = octet == b'.' && at > 0 && !matches!(lines[at], b'\r' | b'\n');
                if octets == lines || inside && lines[at - 1] != b'\n' {
                    continue;
                }
                assert!(ordinary(&octets, true) <= at + 1, "{octet} at {at} is passed over");
            }
        }
    }
}
