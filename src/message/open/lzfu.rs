//! Compressed RTF (MS-OXRTFCP): the form in which Outlook stores formatted bodies in winmail.dat.

/// The initial dictionary (MS-OXRTFCP 2.1.2.1).
const START: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\
\\b\\i\\u\\tab\\tx";
const DICTIONARY: usize = 4_096;

/// Decompresses to at most `most` octets. `None` if it is not compressed RTF.
pub(super) fn unpack(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let kind = bytes.get(8..12)?;
    let packed = bytes.get(16..)?;
    if kind == b"MELA" {
        return Some(packed[..packed.len().min(most)].to_vec());
    }
    if kind != b"LZFu" {
        return None;
    }
    let mut dictionary = [0u8; DICTIONARY];
    dictionary[..START.len()].copy_from_slice(START);
    let mut write = START.len();
    let mut out = Vec::new();
    let mut input = packed.iter().copied();
    while let Some(control) = input.next() {
        for bit in 0..8 {
            if out.len() >= most {
                return Some(out);
            }
            let Some(first) = input.next() else { return Some(out) };
            if control >> bit & 1 == 0 {
                out.push(first);
                dictionary[write] = first;
                write = (write + 1) % DICTIONARY;
                continue;
            }
            let Some(second) = input.next() else { return Some(out) };
            let reference = usize::from(first) << 8 | usize::from(second);
            let (from, length) = (reference >> 4, (reference & 15) + 2);
            if from == write {
                return Some(out);
            }
            for step in 0..length {
                let byte = dictionary[(from + step) % DICTIONARY];
                out.push(byte);
                dictionary[write] = byte;
                write = (write + 1) % DICTIONARY;
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_s_example() {
        // MS-OXRTFCP 4.1.1.
        let packed = [
            0x2d, 0x00, 0x00, 0x00, 0x2b, 0x00, 0x00, 0x00, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7,
            0x03, 0x00, 0x0a, 0x00, 0x72, 0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20,
            0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62, 0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f,
            0xa0,
        ];
        let plain = unpack(&packed, 1_000).unwrap();
        assert_eq!(String::from_utf8_lossy(&plain), "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
    }
}
