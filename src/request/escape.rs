//! The one reading of percent escapes, for paths and queries alike.

/// The byte that `%` with these two digits stands for; `None` when they are not hexadecimal.
pub(super) fn decode(high: u8, low: u8) -> Option<u8> {
    Some((digit(high)? << 4) | digit(low)?)
}

fn digit(digit: u8) -> Option<u8> {
    let value = (digit as char).to_digit(16)?;
    u8::try_from(value).ok()
}
