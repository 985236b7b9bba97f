//! Finds the end of a chunked body without decoding it.
//!
//! Pingora decodes the body; this only tells where it ends, so that bytes of a
//! pipelined request stay out of Pingora's reach until it is their turn.
//! Anything malformed stops the count: the connection then serves no further
//! request, and Pingora's own decoder reports the error.

/// Chunk sizes beyond this many hex digits are malformed.
const MAX_SIZE_DIGITS: u8 = 16;

/// Follows the chunks of one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the hex digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// In what follows a size, up to the line's end.
    Extension { size: u64 },
    /// After the CR of a size line.
    SizeEnd { size: u64 },
    /// In a chunk's data, so many bytes before its end.
    Data(u64),
    /// Before the CR that ends a chunk's data.
    DataCr,
    /// Before the LF that ends a chunk's data.
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    /// Inside a trailer line.
    Trailer,
    /// After the CR of the empty line.
    LastLf,
    /// The body is over.
    Done,
    /// Not chunked coding; nothing after it can be trusted.
    Malformed,
}

impl Chunks {
    /// At the start of a body.
    pub(super) const START: Self = Self::Size { size: 0, digits: 0 };

    /// Takes the next bytes; how many of them belong to the body.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && *self != Self::Done {
            if let Self::Data(left) = *self {
                let here = usize::try_from(left)
                    .map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                at += here;
                *self = match left - here as u64 {
                    0 => Self::DataCr,
                    left => Self::Data(left),
                };
            } else if *self == Self::Malformed {
                return bytes.len();
            } else {
                *self = self.step(bytes[at]);
                at += 1;
            }
        }
        at
    }

    fn step(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size { digits: 1.., size } | Self::Extension { size }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Size { digits: 1.., size }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Size { size, digits }, _) => match (byte as char).to_digit(16) {
                Some(digit) if digits < MAX_SIZE_DIGITS => Self::Size {
                    size: (size << 4) | u64::from(digit),
                    digits: digits + 1,
                },
                _ => Self::Malformed,
            },
            (Self::Extension { size }, byte) if byte != b'\n' => Self::Extension { size },
            (Self::SizeEnd { size: size @ 1.. }, b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::TrailerStart, b'\r') => Self::LastLf,
            (Self::SizeEnd { size: 0 } | Self::TrailerStart | Self::Trailer, b'\n') => {
                Self::TrailerStart
            }
            (Self::TrailerStart | Self::Trailer, _) => Self::Trailer,
            (Self::LastLf, b'\n') => Self::Done,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end_of(bytes: &[u8]) -> (usize, Chunks) {
        let mut chunks = Chunks::START;
        let taken = chunks.advance(bytes);
        (taken, chunks)
    }

    #[test]
    fn the_body_ends_after_the_last_chunk() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "a;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n",
        ] {
            let bytes = format!("{body}GET / HTTP/1.1\r\n");
            assert_eq!(end_of(bytes.as_bytes()), (body.len(), Chunks::Done));
        }
    }

    #[test]
    fn nonsense_is_malformed() {
        for body in [
            "\r\n",
            "g\r\n",
            "3\nabc",
            "3\r\nabcd\r\n",
            "00000000000000001\r\n",
        ] {
            assert_eq!(end_of(body.as_bytes()).1, Chunks::Malformed, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_agree_with_the_whole(sizes in proptest::collection::vec(1usize..40, 0..6), cut in 0usize..200) {
            let mut body = Vec::new();
            for size in sizes {
                body.extend_from_slice(format!("{size:x}\r\n").as_bytes());
                body.extend(std::iter::repeat_n(b'x', size));
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\nNEXT");
            let cut = cut.min(body.len());
            let mut chunks = Chunks::START;
            let first = chunks.advance(&body[..cut]);
            let second = if first == cut { chunks.advance(&body[cut..]) } else { 0 };
            prop_assert_eq!(chunks, Chunks::Done);
            prop_assert_eq!(first + second, body.len() - 4);
        }
    }
}
