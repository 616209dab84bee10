//! Reading back which meters a bridge has (multipart `METER_CONFIG`).

use super::MeterBand;
use super::cursor::{Reader, Writer};
use crate::{Error, Meter};

/// Every meter.
const ALL: u32 = 0xffff_ffff;
const PACKETS: u16 = 2;
const BURST: u16 = 4;
const STATS: u16 = 8;
const KBPS: u16 = 1;
const DROP: u16 = 1;

/// A meter of the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterConfig {
    /// Its number.
    pub id: u32,
    /// `OFPMF_*`.
    pub flags: u16,
    /// Its dropping bands.
    pub bands: Vec<MeterBand>,
    /// It has bands of other kinds.
    pub others: bool,
}

impl MeterConfig {
    /// As a value; none: it is more than one dropping band with a burst.
    pub fn as_meter(&self) -> Option<Meter> {
        match self.bands.as_slice() {
            [band] if !self.others && self.flags & BURST != 0 => {
                Some(Meter { packets: self.flags & PACKETS != 0, rate: band.rate, burst: band.burst })
            }
            _ => None,
        }
    }

    /// As the switch reports a meter that was set so.
    pub fn of(id: u32, meter: Meter) -> Self {
        let unit = if meter.packets { PACKETS } else { KBPS };
        let bands = vec![MeterBand { rate: meter.rate, burst: meter.burst }];
        Self { id, flags: unit | BURST | STATS, bands, others: false }
    }
}

/// Some of the meters; all of them when `more` is false.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeterConfigReply {
    /// What was read.
    pub meters: Vec<MeterConfig>,
    /// Another reply with the same transaction id follows.
    pub more: bool,
}

pub(super) fn write_request(out: &mut Writer) {
    out.u32(ALL);
    out.zeros(4);
}

impl MeterConfigReply {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        for meter in &self.meters {
            let start = out.len();
            out.u16(0);
            out.u16(meter.flags);
            out.u32(meter.id);
            for band in &meter.bands {
                out.tlv8("meter band", DROP, |out| {
                    out.u32(band.rate);
                    out.u32(band.burst);
                    Ok(())
                })?;
            }
            out.patch_length("meter", start, 0)?;
        }
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>, more: bool) -> Result<Self, Error> {
        let mut meters = vec![];
        while !input.is_empty() {
            let length = usize::from(input.u16()?);
            let Some(rest) = length.checked_sub(2) else { return input.error("a meter without a length") };
            let mut one = input.sub("meter", rest)?;
            let (flags, id) = (one.u16()?, one.u32()?);
            let mut meter = MeterConfig { id, flags, bands: vec![], others: false };
            while !one.is_empty() {
                let (kind, mut band) = one.tlv("meter band")?;
                match kind {
                    DROP => meter.bands.push(MeterBand { rate: band.u32()?, burst: band.u32()? }),
                    _ => meter.others = true,
                }
            }
            meters.push(meter);
        }
        Ok(Self { meters, more })
    }
}
