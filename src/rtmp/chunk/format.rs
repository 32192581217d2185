//! The four forms of a chunk's message header.

use crate::error::{Error, Result};

/// How much of its message's header a chunk has (RTMP 1.0 §5.3.1.2): the top two bits of its first byte.
///
/// ```
/// use gortmp::rtmp::chunk::HeaderFormat;
///
/// assert_eq!(HeaderFormat::of(0xc6), HeaderFormat::Continuation);
/// assert_eq!(u8::from(HeaderFormat::SameStream), 1);
/// assert_eq!(HeaderFormat::try_from(2)?, HeaderFormat::SameLengthAndStream);
/// assert!(HeaderFormat::try_from(4).is_err(), "there are two bits for it");
/// # Ok::<(), gortmp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HeaderFormat {
    /// 0: all of it, with an absolute timestamp.
    Full = 0,
    /// 1: on the message stream of the last one, with the time since then.
    SameStream = 1,
    /// 2: of the last one's length, type and stream too.
    SameLengthAndStream = 2,
    /// 3: nothing. The message goes on, or a new one repeats everything.
    Continuation = 3,
}

impl HeaderFormat {
    /// That of the chunk which begins with this byte.
    #[inline]
    pub const fn of(first_byte: u8) -> Self {
        match first_byte >> 6 {
            0 => Self::Full,
            1 => Self::SameStream,
            2 => Self::SameLengthAndStream,
            _ => Self::Continuation,
        }
    }

    /// Bytes of the message header, without the extended timestamp.
    #[inline]
    pub const fn header_length(self) -> usize {
        match self {
            Self::Full => 11,
            Self::SameStream => 7,
            Self::SameLengthAndStream => 3,
            Self::Continuation => 0,
        }
    }

    /// The number on the wire.
    #[inline]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<HeaderFormat> for u8 {
    #[inline]
    fn from(format: HeaderFormat) -> Self {
        format.number()
    }
}

impl TryFrom<u8> for HeaderFormat {
    type Error = Error;

    /// The format with that number, of which there are only 0 to 3.
    fn try_from(number: u8) -> Result<Self> {
        match number {
            0..=3 => Ok(Self::of(number << 6)),
            _ => Err(Error::message("Chunk", format!("{number} is no header format"))),
        }
    }
}
