//! The least that a reader of hellos can do.

/// The least that finds the name: steps over the lengths, nothing validated.
pub(crate) fn walk(b: &[u8]) -> Option<&[u8]> {
    let u8_at = |i: usize| Some(usize::from(*b.get(i)?));
    let u16_at = |i: usize| Some(usize::from(u16::from_be_bytes([*b.get(i)?, *b.get(i + 1)?])));
    let mut i = 5 + 4 + 2 + 32;
    i += 1 + u8_at(i)?;
    i += 2 + u16_at(i)?;
    i += 1 + u8_at(i)?;
    let end = i + 2 + u16_at(i)?;
    i += 2;
    while i + 4 <= end {
        if u16_at(i)? == 0 {
            return b.get(i + 9..i + 9 + u16_at(i + 7)?);
        }
        i += 4 + u16_at(i + 2)?;
    }
    None
}
