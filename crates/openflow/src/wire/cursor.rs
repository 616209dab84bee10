//! Reading and writing octets in network order, never past the end.

use crate::Error;

/// Takes values off the front of a slice; running out of octets is an error, not a panic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `what` names the structure in errors.
    pub fn new(what: &'static str, octets: &'a [u8]) -> Self {
        Self { what, rest: octets }
    }

    pub fn error<T>(&self, reason: &'static str) -> Result<T, Error> {
        Err(Error::Decode { what: self.what, reason })
    }

    pub fn unknown<T>(&self, kind: impl Into<u64>) -> Result<T, Error> {
        Err(Error::Unknown { what: self.what, kind: kind.into() })
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// All that is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => self.error("too short"),
        }
    }

    /// A reader of the next `count` octets alone.
    pub fn sub(&mut self, what: &'static str, count: usize) -> Result<Reader<'a>, Error> {
        Ok(Reader::new(what, self.take(count)?))
    }

    pub fn skip(&mut self, count: usize) -> Result<(), Error> {
        self.take(count).map(|_| ())
    }

    /// Padding that a sender may leave out at the very end.
    pub fn skip_up_to(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or(&[]);
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn mac(&mut self) -> Result<net_types::MacAddr, Error> {
        Ok(net_types::MacAddr(self.array()?))
    }

    /// A number of up to 16 octets.
    pub fn number(&mut self, octets: usize) -> Result<u128, Error> {
        Ok(self.take(octets)?.iter().fold(0, |number, octet| number << 8 | u128::from(*octet)))
    }

    /// A structure that begins with a 16-bit type and a 16-bit length of the whole, header included; the reader holds
    /// what follows the header.
    pub fn tlv(&mut self, what: &'static str) -> Result<(u16, Reader<'a>), Error> {
        let kind = self.u16()?;
        match self.u16()?.checked_sub(4) {
            Some(length) => Ok((kind, self.sub(what, usize::from(length))?)),
            None => Err(Error::Decode { what, reason: "length shorter than its own header" }),
        }
    }
}

/// Collects octets; remembers nothing, so lengths are patched by whoever opened a structure.
#[derive(Debug, Default)]
pub(super) struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    pub fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// The lowest `octets` of a number, at most 16.
    pub fn number(&mut self, value: u128, octets: usize) {
        let all = value.to_be_bytes();
        self.octets.extend_from_slice(all.get(all.len().saturating_sub(octets)..).unwrap_or(&all));
    }

    pub fn bytes(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    pub fn zeros(&mut self, count: usize) {
        self.octets.resize(self.octets.len() + count, 0);
    }

    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Zeros until the length since `start` is a multiple of eight, as OpenFlow aligns everything.
    pub fn pad8(&mut self, start: usize) {
        let length = self.len().saturating_sub(start);
        self.zeros(length.next_multiple_of(8) - length);
    }

    /// Writes the length since `start` into the 16 bits at `start + at`.
    pub fn patch_length(&mut self, what: &'static str, start: usize, at: usize) -> Result<(), Error> {
        let length = self.len().saturating_sub(start);
        let Ok(length) = u16::try_from(length) else {
            return Err(Error::Encode { what, reason: "longer than 65535 octets" });
        };
        let field = start.saturating_add(at);
        match self.octets.get_mut(field..field.saturating_add(2)) {
            Some(place) => place.copy_from_slice(&length.to_be_bytes()),
            None => return Err(Error::Encode { what, reason: "no place for its length" }),
        }
        Ok(())
    }

    /// A structure with a 16-bit type and a 16-bit length, padded to eight octets *inside* that length.
    pub fn tlv8(
        &mut self,
        what: &'static str,
        kind: u16,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let start = self.len();
        self.u16(kind);
        self.u16(0);
        body(self)?;
        self.pad8(start);
        self.patch_length(what, start, 2)
    }

    pub fn finish(self) -> Vec<u8> {
        self.octets
    }
}
