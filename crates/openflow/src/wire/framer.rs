//! Cuts a stream of octets into whole messages.

use super::{HEADER_LEN, Message};
use crate::Error;

/// Collects what a socket delivers, in any portions, and yields whole messages.
///
/// ```
/// use openflow::wire::{Body, Framer, Message};
/// let octets = Message::new(7, Body::BarrierRequest).encode()?;
/// let mut framer = Framer::default();
/// framer.push(&octets[..3]);
/// assert!(framer.next_frame()?.is_none());
/// framer.push(&octets[3..]);
/// assert_eq!(framer.next_frame()?.map(|frame| frame.decode()), Some(Ok(Message::new(7, Body::BarrierRequest))));
/// # Ok::<(), openflow::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Octets at the front that were already handed out.
    used: usize,
}

/// One whole message, not yet decoded: if decoding fails, the stream is still in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

impl Framer {
    /// Takes what the socket delivered.
    pub fn push(&mut self, octets: &[u8]) {
        // Cheap, because what is left is less than one message unless the caller does not ask for frames.
        self.buffer.drain(..self.used.min(self.buffer.len()));
        self.used = 0;
        self.buffer.extend_from_slice(octets);
    }

    /// The next whole message, or nothing until more octets come. An error means that the stream is out of step and the
    /// connection of no more use.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        let rest = self.buffer.get(self.used..).unwrap_or(&[]);
        let Some(length) = rest.get(2..4).and_then(|octets| octets.try_into().ok()).map(u16::from_be_bytes) else {
            return Ok(None);
        };
        let length = usize::from(length);
        if length < HEADER_LEN {
            return Err(Error::Decode { what: "stream", reason: "message shorter than its header" });
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let frame = Frame(frame.to_vec());
        self.used += length;
        Ok(Some(frame))
    }
}

impl Frame {
    /// The message that it holds.
    pub fn decode(&self) -> Result<Message, Error> {
        Message::decode(&self.0)
    }

    /// The transaction id, also of a message that cannot be decoded.
    pub fn xid(&self) -> u32 {
        self.0.get(4..8).and_then(|octets| octets.try_into().ok()).map_or(0, u32::from_be_bytes)
    }

    /// The octets, header included.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Body;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn portions_do_not_matter(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..10),
                                  portion in 1usize..50) {
            let messages: Vec<_> = bodies.into_iter().zip(1..).map(|(octets, xid)| Message::new(xid, Body::EchoRequest(octets))).collect();
            let stream: Vec<u8> = messages.iter().flat_map(|message| message.encode().unwrap()).collect();
            let (mut framer, mut seen) = (Framer::default(), vec![]);
            for octets in stream.chunks(portion) {
                framer.push(octets);
                while let Some(frame) = framer.next_frame().unwrap() {
                    prop_assert_eq!(frame.xid(), frame.decode().unwrap().xid);
                    seen.push(frame.decode().unwrap());
                }
            }
            prop_assert_eq!(seen, messages);
        }
    }

    #[test]
    fn a_length_below_the_header_is_refused() {
        let mut framer = Framer::default();
        framer.push(&[5, 0, 0, 7, 0, 0, 0, 0]);
        assert!(framer.next_frame().is_err());
    }
}
