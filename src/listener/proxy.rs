//! The PROXY protocol, versions 1 and 2: a load balancer in front of us tells the client's address.
//!
//! The header is read only from configured load balancers, which must send it. Any other client that
//! sends one is refused for speaking before the greeting. Nothing after the header is consumed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The signature at the start of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1 in octets, CRLF included.
const LONGEST_V1: usize = 107;
/// Most octets accepted after the fixed part of version 2. Its length field allows 65,535.
const LONGEST_V2: usize = 4_096;

/// Why a PROXY header was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadProxy {
    /// The input begins like neither version.
    #[error("no PROXY header at the start of the connection")]
    Missing,
    /// The header is malformed.
    #[error("malformed PROXY header: {0}")]
    Broken(&'static str),
    /// The connection failed or was closed.
    #[error("the connection ended before the PROXY header did: {0}")]
    Gone(#[from] io::Error),
}

/// Reads the header; returns the client's address. `None` if the load balancer connects on its own
/// behalf (a health check) or does not know the client.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, BadProxy> {
    // Both versions are longer than this, so it does not read beyond the header.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return second(stream).await;
    }
    if start.starts_with(b"PROXY ") {
        return first(stream, &start).await;
    }
    Err(BadProxy::Missing)
}

/// Version 1: a line of text. Read octet by octet, so as not to read beyond it.
async fn first<S: AsyncRead + Unpin>(stream: &mut S, start: &[u8]) -> Result<Option<SocketAddr>, BadProxy> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_V1 {
            return Err(BadProxy::Broken("the line is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let text = std::str::from_utf8(&line[..line.len() - 2]).map_err(|_| BadProxy::Broken("not ASCII"))?;
    first_line(text)
}

fn first_line(text: &str) -> Result<Option<SocketAddr>, BadProxy> {
    let words: Vec<&str> = text.split(' ').collect();
    let broken = || BadProxy::Broken("it is not PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT");
    let [_, family, source, destination, port, to_port] = words[..] else {
        // The specification says to ignore what follows UNKNOWN.
        return if words.get(1) == Some(&"UNKNOWN") { Ok(None) } else { Err(broken()) };
    };
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            _ => None,
        }
    };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    match (address(source), address(destination), number(port), number(to_port)) {
        (Some(source), Some(_), Some(port), Some(_)) => Ok(Some(SocketAddr::new(source, port))),
        _ => Err(broken()),
    }
}

/// Version 2: binary.
async fn second<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, BadProxy> {
    let [command, family, high, low] = {
        let mut fixed = [0; 4];
        stream.read_exact(&mut fixed).await?;
        fixed
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_V2 {
        return Err(BadProxy::Broken("it is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match command {
        0x20 => Ok(None),
        0x21 => second_address(family, &rest),
        _ => Err(BadProxy::Broken("neither LOCAL nor PROXY of version 2")),
    }
}

fn second_address(family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, BadProxy> {
    let short = || BadProxy::Broken("it is too short for its addresses");
    let port = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
    match family {
        0x11 => {
            let octets: [u8; 4] =
                rest.get(..4).and_then(|source| source.try_into().ok()).ok_or_else(short)?;
            let port = port(8).filter(|_| rest.len() >= 12).ok_or_else(short)?;
            Ok(Some(SocketAddr::new(octets.into(), port)))
        }
        0x21 => {
            let octets: [u8; 16] =
                rest.get(..16).and_then(|source| source.try_into().ok()).ok_or_else(short)?;
            let port = port(32).filter(|_| rest.len() >= 36).ok_or_else(short)?;
            Ok(Some(SocketAddr::new(octets.into(), port)))
        }
        // Unspecified and Unix sockets have no IP address.
        0x00 | 0x31 | 0x32 => Ok(None),
        _ => Err(BadProxy::Broken("it is not about TCP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome(input: &[u8]) -> (String, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut left = input;
        let read = runtime.block_on(read(&mut left));
        let said = match read {
            Ok(Some(address)) => address.to_string(),
            Ok(None) => "none".to_owned(),
            Err(error) => format!("! {error}"),
        };
        (said, left.len())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[test]
    fn headers_are_read_and_nothing_behind_them() {
        let four = [&[192, 0, 2, 7][..], &[198, 51, 100, 1], &[0x10, 0x01], &[0, 25]].concat();
        let six = {
            let source: Ipv6Addr = "2001:db8::7".parse().unwrap();
            [&source.octets()[..], &[0; 16], &[0, 99], &[0, 25]].concat()
        };
        let extended = [&four[..], &[4, 0, 1, 0]].concat();
        let cases: [(Vec<u8>, &str); 22] = [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 4097 25\r\n".to_vec(), "192.0.2.7:4097"),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 99 25\r\n".to_vec(), "[2001:db8::7]:99"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "none"),
            (b"PROXY UNKNOWN a b c d\r\n".to_vec(), "none"),
            (b"PROXY TCP4 2001:db8::7 2001:db8::1 99 25\r\n".to_vec(), "! malformed"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 4097\r\n".to_vec(), "! malformed"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 25\r\n".to_vec(), "! malformed"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 25\r\n".to_vec(), "! malformed"),
            (b"PROXY TCP4  192.0.2.7 198.51.100.1 1 25\r\n".to_vec(), "! malformed"),
            (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n".to_vec(), "! malformed"),
            ([&b"PROXY TCP4 "[..], &[b'1'; 200], b"\r\n"].concat(), "! malformed"),
            (v2(0x21, 0x11, &four), "192.0.2.7:4097"),
            (v2(0x21, 0x11, &extended), "192.0.2.7:4097"),
            (v2(0x21, 0x21, &six), "[2001:db8::7]:99"),
            (v2(0x20, 0x00, &[]), "none"),
            (v2(0x21, 0x00, &[]), "none"),
            (v2(0x21, 0x31, &[0; 216]), "none"),
            (v2(0x21, 0x12, &four), "! malformed"),
            (v2(0x21, 0x11, &four[..11]), "! malformed"),
            (v2(0x11, 0x11, &four), "! malformed"),
            (v2(0x21, 0x11, &[0; 5_000]), "! malformed"),
            (b"EHLO client.example\r\n".to_vec(), "! no PROXY header"),
        ];
        for (header, expected) in cases {
            let (said, left) = outcome(&[&header[..], b"NEXT"].concat());
            assert!(said.starts_with(expected), "{} gave {said}", header.escape_ascii());
            assert!(expected.starts_with('!') || left == 4, "{said}: {left} octets left");
            if !expected.starts_with("! no") {
                let (cut, _) = outcome(&header[..header.len() - 1]);
                assert!(cut.starts_with('!'), "cut short: {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_a_balancer_sends_is_a_panic(rest in prop::collection::vec(any::<u8>(), 0..200), kind in 0..3) {
            let start: &[u8] = [&SIGNATURE[..], b"PROXY ", b""][usize::try_from(kind).unwrap()];
            outcome(&[start, &rest].concat());
        }
    }
}
