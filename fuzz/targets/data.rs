//! Content between 354 and the final dot: what is kept has no bare CR, LF or NUL, and stuffed again and
//! read again it is the same message, and one message.
#![cfg_attr(fuzzing, no_main)]

use bytes::BytesMut;
use sekisho::smtp::content::{Content, Step};
use sekisho::smtp::{BareLf, Stuffer};

/// The content up to the final dot: octets, whether the dot came, whether it was clean.
fn read(input: &[u8], size: usize) -> (Vec<u8>, bool, bool) {
    let mut content = Content::new(1 << 20, BareLf::Refuse);
    let (mut kept, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in input.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            match content.next(&mut buffer) {
                Step::Octets(octets) => kept.extend_from_slice(&octets),
                Step::End => return (kept, true, content.fault().is_none()),
                Step::More => break,
            }
        }
    }
    (kept, false, content.fault().is_none())
}

/// Checks one input.
pub fn check(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let (kept, ended, clean) = read(rest, rest.len().max(1));
    let cut = read(rest, usize::from(first % 16) + 1);
    assert_eq!((ended, clean), (cut.1, cut.2));
    if !(ended && clean) {
        return;
    }
    assert_eq!(kept, cut.0);
    let mut stuffer = Stuffer::new();
    let mut out = Vec::new();
    stuffer.append(&kept, &mut out).expect("kept content has no bare line ends");
    out.extend_from_slice(stuffer.finish().expect("kept content has no bare line ends"));
    let again = read(&out, out.len());
    assert!(again.1 && again.2, "the final dot is lost");
    assert!(again.0 == kept || again.0 == [kept.as_slice(), b"\r\n"].concat());
    assert!(
        !out[..out.len().saturating_sub(5)].windows(5).any(|five| five == b"\r\n.\r\n"),
        "a final dot inside the content"
    );
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
