//! Transport port ranges, and the value/mask pairs that a switch matches them with.

use crate::ParseError;
use serde::{Deserialize, Serialize};

/// An inclusive range of TCP, UDP or SCTP ports; `first <= last` always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A port value and the mask of the bits that must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortMask {
    /// Bits to compare; zero wherever the mask is.
    pub value: u16,
    /// One bits are compared; `0xffff` means exactly `value`.
    pub mask: u16,
}

impl PortRange {
    /// The whole range, which needs no match at all.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// A range; an error when it runs backwards.
    pub fn new(first: u16, last: u16) -> Result<Self, ParseError> {
        if first <= last {
            Ok(Self { first, last })
        } else {
            Err(ParseError::new("port range", format!("{first}:{last}")))
        }
    }

    /// Lowest port of the range.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// Highest port of the range.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// Whether `port` lies in the range.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The fewest aligned blocks that cover exactly this range, in rising order: 8000-8010 is `0x1f40/0xfff8`,
    /// `0x1f48/0xfffe`, `8010`.
    pub fn masks(&self) -> Vec<PortMask> {
        let mut blocks = Vec::new();
        let (mut next, end) = (u32::from(self.first), u32::from(self.last) + 1);
        while next < end {
            // The largest power of two that both divides the start and fits into what is left.
            let aligned = if next == 0 { 1 << 16 } else { next & next.wrapping_neg() };
            let fits = 1u32 << (end - next).ilog2();
            let size = aligned.min(fits);
            blocks.push(PortMask { value: next as u16, mask: !((size - 1) as u16) });
            next += size;
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn masks_are_those_that_neutron_writes() {
        let masks: Vec<_> = PortRange::new(8000, 8010).unwrap().masks().iter().map(|m| (m.value, m.mask)).collect();
        assert_eq!(masks, [(0x1f40, 0xfff8), (0x1f48, 0xfffe), (8010, 0xffff)]);
        assert_eq!(PortRange::ALL.masks(), [PortMask { value: 0, mask: 0 }]);
        assert!(PortRange::new(2, 1).is_err());
    }

    proptest! {
        #[test]
        fn masks_cover_exactly_the_range(a: u16, b: u16, probe: u16) {
            let range = PortRange::new(a.min(b), a.max(b)).unwrap();
            let covering = |port: u16| range.masks().iter().filter(|m| port & m.mask == m.value).count();
            for port in [a, b, probe, range.first().wrapping_sub(1), range.last().wrapping_add(1)] {
                prop_assert_eq!(covering(port), usize::from(range.contains(port)));
            }
        }
    }
}
