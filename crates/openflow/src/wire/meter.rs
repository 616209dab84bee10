//! Meters: rate limits that flows refer to.

use super::cursor::{Reader, Writer};
use crate::Error;

const KBPS: u16 = 1;
const PACKETS: u16 = 2;
const BURST: u16 = 4;
const STATS: u16 = 8;
const DROP: u16 = 1;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeterCommand {
    /// Make a new meter.
    Add,
    /// Change one.
    Modify,
    /// Delete one, and the flows that refer to it.
    Delete,
}

/// Drops what exceeds a rate; the other kind of band, DSCP remark, is refused by Open vSwitch's userspace datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterBand {
    /// Kilobits (or packets) a second.
    pub rate: u32,
    /// Kilobits (or packets) that may come at once; zero leaves it to the switch.
    pub burst: u32,
}

/// A change of a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterMod {
    /// What is to be done.
    pub command: MeterCommand,
    /// Its number, from 1.
    pub id: u32,
    /// Rates are packets a second instead of kilobits a second.
    pub packets: bool,
    /// Count what it drops.
    pub stats: bool,
    /// Its bands.
    pub bands: Vec<MeterBand>,
}

impl MeterMod {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u16(match self.command {
            MeterCommand::Add => 0,
            MeterCommand::Modify => 1,
            MeterCommand::Delete => 2,
        });
        let burst = self.bands.iter().any(|band| band.burst != 0);
        let unit = if self.packets { PACKETS } else { KBPS };
        out.u16(unit | if burst { BURST } else { 0 } | if self.stats { STATS } else { 0 });
        out.u32(self.id);
        for band in &self.bands {
            out.tlv8("meter band", DROP, |out| {
                out.u32(band.rate);
                out.u32(band.burst);
                Ok(())
            })?;
        }
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let command = match input.u16()? {
            0 => MeterCommand::Add,
            1 => MeterCommand::Modify,
            2 => MeterCommand::Delete,
            other => return input.unknown(other),
        };
        let (flags, id) = (input.u16()?, input.u32()?);
        let mut bands = vec![];
        while !input.is_empty() {
            let (kind, mut band) = input.tlv("meter band")?;
            if kind != DROP {
                return band.unknown(kind);
            }
            bands.push(MeterBand { rate: band.u32()?, burst: band.u32()? });
        }
        Ok(Self { command, id, packets: flags & PACKETS != 0, stats: flags & STATS != 0, bands })
    }
}
