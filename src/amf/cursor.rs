//! A reader over encoded bytes that limits how far they may expand in memory.

use crate::error::{Error, Result};
use crate::limits;

/// The read position in a message, shared by both encodings. The budgets apply to the whole message: depth because the
/// decoders recurse, values and repeated bytes because a few bytes on the wire can expand into many in memory.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    depth: usize,
    values: usize,
    repeated: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, depth: 0, values: 0, repeated: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    pub(super) fn error(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::Amf { offset: self.position, reason: reason.into() }
    }

    /// Returns the error for a reference to a missing value.
    pub(super) fn dangling_reference(&self, index: usize) -> Error {
        self.error(format!("reference {index} has no target"))
    }

    /// Checks that the remaining bytes can hold `count` values of at least `size` bytes each.
    pub(super) fn expect_values(&self, count: usize, size: usize) -> Result<()> {
        let left = self.bytes.len().saturating_sub(self.position);
        if count.saturating_mul(size) > left {
            return Err(self.error(format!("{count} values can't fit in the {left} bytes left")));
        }
        Ok(())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let taken =
            rest.get(..length).ok_or_else(|| self.error(format!("{length} bytes expected, {} left", rest.len())))?;
        self.position += length;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_be_bytes)
    }

    /// Reads a string of `length` bytes, with replacement characters where it is not UTF-8.
    pub(super) fn text(&mut self, length: usize) -> Result<String> {
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// Skips the next byte if it equals `byte`, and returns whether it did.
    pub(super) fn skip_if(&mut self, byte: u8) -> bool {
        let is_next = self.bytes.get(self.position) == Some(&byte);
        self.position += usize::from(is_next);
        is_next
    }

    /// Moves to another position and returns the previous one.
    pub(super) fn jump(&mut self, position: usize) -> usize {
        std::mem::replace(&mut self.position, position)
    }

    /// Enters a value that may contain others; [`leave`](Self::leave) ends it.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > limits::AMF_DEPTH {
            let (value, limit) = (self.depth as u64, limits::AMF_DEPTH as u64);
            return Err(Error::Limit { what: "the nesting depth of AMF values", value, limit });
        }
        Ok(())
    }

    /// Leaves the value entered last.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts values before they are allocated.
    pub(super) fn spend_values(&mut self, count: usize) -> Result<()> {
        self.values = self.values.saturating_add(count);
        if self.values > limits::AMF_VALUES {
            let (value, limit) = (self.values as u64, limits::AMF_VALUES as u64);
            return Err(Error::Limit { what: "the number of AMF values in a message", value, limit });
        }
        Ok(())
    }

    /// Counts bytes before a reference repeats them.
    pub(super) fn spend_bytes(&mut self, count: usize) -> Result<()> {
        self.repeated = self.repeated.saturating_add(count);
        if self.repeated > limits::AMF_REPEATED_BYTES {
            let (value, limit) = (self.repeated as u64, limits::AMF_REPEATED_BYTES as u64);
            return Err(Error::Limit { what: "the number of bytes that AMF references repeat", value, limit });
        }
        Ok(())
    }
}
