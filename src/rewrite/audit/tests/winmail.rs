//! Builds a `winmail.dat` (TNEF) file.

pub(super) fn attribute(level: u8, id: u32, data: &[u8]) -> Vec<u8> {
    let sum = data.iter().fold(0u16, |sum, &byte| sum.wrapping_add(u16::from(byte)));
    let length = u32::try_from(data.len()).unwrap();
    [&[level][..], &id.to_le_bytes(), &length.to_le_bytes(), data, &sum.to_le_bytes()].concat()
}

pub(super) fn file(attributes: &[Vec<u8>]) -> Vec<u8> {
    [&[0x78, 0x9f, 0x3e, 0x22, 1, 0][..], &attributes.concat()].concat()
}

pub(super) fn variable(tag: u32, data: &[u8]) -> Vec<u8> {
    let mut property = [&tag.to_le_bytes()[..], &1u32.to_le_bytes()].concat();
    property.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    property.extend_from_slice(data);
    property.resize(property.len().next_multiple_of(4), 0);
    property
}

pub(super) fn properties(list: &[Vec<u8>]) -> Vec<u8> {
    [&u32::try_from(list.len()).unwrap().to_le_bytes()[..], &list.concat()].concat()
}
