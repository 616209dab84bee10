//! OpenFlow 1.4 messages as octets, with the Nicira messages that Neutronium needs.
//!
//! In: octets of whole messages, as [`Framer`] cuts them out of a stream, or [`Message`]s. Out: the other one. Both
//! directions of every message are here, so that a fake switch in a test speaks the same language. Decoding never
//! panics, whatever the octets; a message of a kind that is not known is kept as [`Body::Unknown`].

mod action;
mod async_config;
mod bundle;
mod ct_flush;
mod cursor;
mod error;
mod flow_mod;
mod flow_monitor;
mod flow_stats;
mod framer;
mod learn;
mod meter;
mod meter_config;
mod nicira;
mod oxm;
mod packet;
mod port;
mod session;
#[cfg(test)]
mod tests;

pub use async_config::AsyncConfig;
pub use bundle::{Bundle, BundleControl, BundleKind, BundleStep, Refusal};
pub use ct_flush::{CtFlush, CtTuple};
pub use error::ErrorMessage;
pub use flow_mod::{FlowCommand, FlowMod};
pub use flow_monitor::{FlowEvent, FlowMonitorRequest, FlowUpdate, FlowUpdates};
pub use flow_stats::{FlowRemoved, FlowStats, FlowStatsReply, FlowStatsRequest, UnreadableFlow};
pub use framer::{Frame, Framer};
pub use meter::{MeterBand, MeterCommand, MeterMod};
pub use meter_config::{MeterConfig, MeterConfigReply};
pub use packet::{PacketIn, PacketOut};
pub use port::{PortDesc, PortDescReply, PortReason, PortStatus};
pub use session::{Features, Hello, SwitchConfig};

use crate::Error;
use cursor::{Reader, Writer};

/// OpenFlow 1.4 in the first octet of every message.
pub const VERSION: u8 = 5;
/// Octets of the header that every message begins with.
pub const HEADER_LEN: usize = 8;

const HELLO: u8 = 0;
const ERROR: u8 = 1;
const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;
const EXPERIMENTER: u8 = 4;
const FEATURES_REQUEST: u8 = 5;
const FEATURES_REPLY: u8 = 6;
const SET_CONFIG: u8 = 9;
const PACKET_IN: u8 = 10;
const FLOW_REMOVED: u8 = 11;
const PORT_STATUS: u8 = 12;
const PACKET_OUT: u8 = 13;
const FLOW_MOD: u8 = 14;
const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
const BARRIER_REQUEST: u8 = 20;
const BARRIER_REPLY: u8 = 21;
const SET_ASYNC: u8 = 28;
const METER_MOD: u8 = 29;
const BUNDLE_CONTROL: u8 = 33;
const BUNDLE_ADD: u8 = 34;

const MULTIPART_FLOW: u16 = 1;
const MULTIPART_METER_CONFIG: u16 = 10;
const MULTIPART_PORT_DESC: u16 = 13;
const MULTIPART_FLOW_MONITOR: u16 = 16;

const NXT_CT_FLUSH_ZONE: u32 = 29;
const NXT_CT_FLUSH: u32 = 32;

/// A message and the transaction id by which a reply or an error names its request.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Transaction id.
    pub xid: u32,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// First message of both sides.
    Hello(Hello),
    /// A request was refused.
    Error(ErrorMessage),
    /// Are you there? With octets to be returned.
    EchoRequest(Vec<u8>),
    /// The octets of the request.
    EchoReply(Vec<u8>),
    /// Who are you?
    FeaturesRequest,
    /// Identity of the switch.
    FeaturesReply(Features),
    /// How the switch treats misses and fragments.
    SetConfig(SwitchConfig),
    /// A packet for the controller.
    PacketIn(PacketIn),
    /// A flow went.
    FlowRemoved(FlowRemoved),
    /// A port came, went or changed.
    PortStatus(PortStatus),
    /// Send a packet.
    PacketOut(PacketOut),
    /// Change flows.
    FlowMod(FlowMod),
    /// Which flows are there?
    FlowStatsRequest(FlowStatsRequest),
    /// Some or all of the flows.
    FlowStatsReply(FlowStatsReply),
    /// Tell of every change of flows.
    FlowMonitorRequest(FlowMonitorRequest),
    /// Changes of flows.
    FlowMonitorReply(FlowUpdates),
    /// Which meters are there?
    MeterConfigRequest,
    /// Some or all of the meters.
    MeterConfigReply(MeterConfigReply),
    /// Which ports are there?
    PortDescRequest,
    /// Some or all of the ports.
    PortDescReply(PortDescReply),
    /// Answer when everything before is done.
    BarrierRequest,
    /// Everything before the request is done.
    BarrierReply,
    /// Which messages the switch sends unasked.
    SetAsync(AsyncConfig),
    /// Change a meter.
    MeterMod(MeterMod),
    /// Open, commit or discard a bundle, and the answers.
    BundleControl(BundleControl),
    /// A message for a bundle, to take effect with it.
    BundleAdd {
        /// Which bundle.
        bundle: u32,
        /// Flags as when the bundle was opened.
        flags: u16,
        /// The message; it is sent with the transaction id of the outer one.
        message: Box<Body>,
    },
    /// Forget connections (Nicira).
    CtFlush(CtFlush),
    /// Forget all connections of a zone (Nicira).
    CtFlushZone(u16),
    /// A message of a kind that this crate does not know.
    Unknown {
        /// Type in the header.
        kind: u8,
        /// What follows the header.
        octets: Vec<u8>,
    },
}

impl From<FlowMod> for Body {
    fn from(flow_mod: FlowMod) -> Self {
        Body::FlowMod(flow_mod)
    }
}

impl Message {
    /// A message with its transaction id.
    pub fn new(xid: u32, body: impl Into<Body>) -> Self {
        Self { xid, body: body.into() }
    }

    /// The octets to send. An error when something does not fit the format.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Writer::default();
        write_message(&mut out, self.xid, &self.body)?;
        Ok(out.finish())
    }

    /// One whole message, header included; octets beyond its length are an error.
    pub fn decode(octets: &[u8]) -> Result<Self, Error> {
        read_message(octets, 0)
    }
}

fn write_message(out: &mut Writer, xid: u32, body: &Body) -> Result<(), Error> {
    let start = out.len();
    out.u8(VERSION);
    out.u8(kind_of(body));
    out.u16(0);
    out.u32(xid);
    match body {
        Body::Hello(hello) => hello.write(out),
        Body::Error(error) => error.write(out),
        Body::EchoRequest(octets) | Body::EchoReply(octets) | Body::Unknown { octets, .. } => out.bytes(octets),
        Body::FeaturesRequest | Body::BarrierRequest | Body::BarrierReply => {}
        Body::FeaturesReply(features) => features.write(out),
        Body::SetConfig(config) => config.write(out),
        Body::PacketIn(packet) => packet.write(out)?,
        Body::FlowRemoved(removed) => removed.write(out)?,
        Body::PortStatus(status) => status.write(out)?,
        Body::PacketOut(packet) => packet.write(out)?,
        Body::FlowMod(flow_mod) => flow_mod.write(out)?,
        Body::FlowStatsRequest(request) => {
            write_multipart(out, MULTIPART_FLOW, false);
            request.write(out)?;
        }
        Body::FlowStatsReply(reply) => {
            write_multipart(out, MULTIPART_FLOW, reply.more);
            reply.write(out)?;
        }
        Body::FlowMonitorRequest(request) => {
            write_multipart(out, MULTIPART_FLOW_MONITOR, false);
            request.write(out)?;
        }
        Body::FlowMonitorReply(updates) => {
            write_multipart(out, MULTIPART_FLOW_MONITOR, updates.more);
            updates.write(out)?;
        }
        Body::MeterConfigRequest => {
            write_multipart(out, MULTIPART_METER_CONFIG, false);
            meter_config::write_request(out);
        }
        Body::MeterConfigReply(reply) => {
            write_multipart(out, MULTIPART_METER_CONFIG, reply.more);
            reply.write(out)?;
        }
        Body::PortDescRequest => write_multipart(out, MULTIPART_PORT_DESC, false),
        Body::PortDescReply(reply) => {
            write_multipart(out, MULTIPART_PORT_DESC, reply.more);
            reply.write(out)?;
        }
        Body::SetAsync(config) => config.write(out)?,
        Body::MeterMod(meter) => meter.write(out)?,
        Body::BundleControl(control) => control.write(out),
        Body::BundleAdd { bundle, flags, message } => {
            out.u32(*bundle);
            out.zeros(2);
            out.u16(*flags);
            write_message(out, xid, message)?;
        }
        Body::CtFlush(flush) => {
            write_nicira(out, NXT_CT_FLUSH);
            flush.write(out)?;
        }
        Body::CtFlushZone(zone) => {
            write_nicira(out, NXT_CT_FLUSH_ZONE);
            out.zeros(6);
            out.u16(*zone);
        }
    }
    out.patch_length("message", start, 2)
}

fn write_multipart(out: &mut Writer, kind: u16, more: bool) {
    out.u16(kind);
    out.u16(u16::from(more));
    out.zeros(4);
}

fn write_nicira(out: &mut Writer, subtype: u32) {
    out.u32(nicira::NICIRA);
    out.u32(subtype);
}

fn kind_of(body: &Body) -> u8 {
    match body {
        Body::Hello(_) => HELLO,
        Body::Error(_) => ERROR,
        Body::EchoRequest(_) => ECHO_REQUEST,
        Body::EchoReply(_) => ECHO_REPLY,
        Body::FeaturesRequest => FEATURES_REQUEST,
        Body::FeaturesReply(_) => FEATURES_REPLY,
        Body::SetConfig(_) => SET_CONFIG,
        Body::PacketIn(_) => PACKET_IN,
        Body::FlowRemoved(_) => FLOW_REMOVED,
        Body::PortStatus(_) => PORT_STATUS,
        Body::PacketOut(_) => PACKET_OUT,
        Body::FlowMod(_) => FLOW_MOD,
        Body::FlowStatsRequest(_) | Body::FlowMonitorRequest(_) | Body::MeterConfigRequest | Body::PortDescRequest => {
            MULTIPART_REQUEST
        }
        Body::FlowStatsReply(_) | Body::FlowMonitorReply(_) | Body::MeterConfigReply(_) | Body::PortDescReply(_) => {
            MULTIPART_REPLY
        }
        Body::BarrierRequest => BARRIER_REQUEST,
        Body::BarrierReply => BARRIER_REPLY,
        Body::SetAsync(_) => SET_ASYNC,
        Body::MeterMod(_) => METER_MOD,
        Body::BundleControl(_) => BUNDLE_CONTROL,
        Body::BundleAdd { .. } => BUNDLE_ADD,
        Body::CtFlush(_) | Body::CtFlushZone(_) => EXPERIMENTER,
        Body::Unknown { kind, .. } => *kind,
    }
}

/// `depth` counts bundles around the message: a bundle in a bundle is not allowed.
fn read_message(octets: &[u8], depth: u8) -> Result<Message, Error> {
    let mut input = Reader::new("message", octets);
    let (version, kind, length, xid) = (input.u8()?, input.u8()?, input.u16()?, input.u32()?);
    if usize::from(length) != octets.len() {
        return input.error("length does not agree with its header");
    }
    // A peer may offer any version, and refuse ours in its own.
    if version != VERSION && kind != HELLO && kind != ERROR {
        return input.error("not of OpenFlow 1.4");
    }
    let rest = || input.rest().to_vec();
    let body = match kind {
        HELLO => Body::Hello(Hello::read(version, input)?),
        ERROR => Body::Error(ErrorMessage::read(input)?),
        ECHO_REQUEST => Body::EchoRequest(rest()),
        ECHO_REPLY => Body::EchoReply(rest()),
        FEATURES_REQUEST => Body::FeaturesRequest,
        FEATURES_REPLY => Body::FeaturesReply(Features::read(input)?),
        SET_CONFIG => Body::SetConfig(SwitchConfig::read(input)?),
        PACKET_IN => Body::PacketIn(PacketIn::read(input)?),
        FLOW_REMOVED => Body::FlowRemoved(FlowRemoved::read(input)?),
        PORT_STATUS => Body::PortStatus(PortStatus::read(input)?),
        PACKET_OUT => Body::PacketOut(PacketOut::read(input)?),
        FLOW_MOD => Body::FlowMod(FlowMod::read(input)?),
        MULTIPART_REQUEST | MULTIPART_REPLY => read_multipart(kind, input)?,
        BARRIER_REQUEST => Body::BarrierRequest,
        BARRIER_REPLY => Body::BarrierReply,
        SET_ASYNC => Body::SetAsync(AsyncConfig::read(input)?),
        METER_MOD => Body::MeterMod(MeterMod::read(input)?),
        BUNDLE_CONTROL => Body::BundleControl(BundleControl::read(input)?),
        BUNDLE_ADD if depth == 0 => read_bundle_add(xid, input)?,
        EXPERIMENTER => read_experimenter(input)?,
        kind => Body::Unknown { kind, octets: rest() },
    };
    Ok(Message { xid, body })
}

fn read_multipart(kind: u8, mut input: Reader<'_>) -> Result<Body, Error> {
    let all = input;
    let (part, flags) = (input.u16()?, input.u16()?);
    input.skip(4)?;
    let more = flags & 1 != 0;
    Ok(match (kind, part) {
        (MULTIPART_REQUEST, MULTIPART_FLOW) => Body::FlowStatsRequest(FlowStatsRequest::read(input)?),
        (MULTIPART_REPLY, MULTIPART_FLOW) => Body::FlowStatsReply(FlowStatsReply::read(input, more)?),
        (MULTIPART_REQUEST, MULTIPART_FLOW_MONITOR) => Body::FlowMonitorRequest(FlowMonitorRequest::read(input)?),
        (MULTIPART_REPLY, MULTIPART_FLOW_MONITOR) => Body::FlowMonitorReply(FlowUpdates::read(input, more)?),
        (MULTIPART_REQUEST, MULTIPART_METER_CONFIG) => Body::MeterConfigRequest,
        (MULTIPART_REPLY, MULTIPART_METER_CONFIG) => Body::MeterConfigReply(MeterConfigReply::read(input, more)?),
        (MULTIPART_REQUEST, MULTIPART_PORT_DESC) => Body::PortDescRequest,
        (MULTIPART_REPLY, MULTIPART_PORT_DESC) => Body::PortDescReply(PortDescReply::read(input, more)?),
        _ => Body::Unknown { kind, octets: all.rest().to_vec() },
    })
}

fn read_bundle_add(xid: u32, mut input: Reader<'_>) -> Result<Body, Error> {
    let bundle = input.u32()?;
    input.skip(2)?;
    let flags = input.u16()?;
    // The inner message says how long it is; properties of the bundle may follow it.
    let mut header = input;
    header.skip(2)?;
    let length = usize::from(header.u16()?);
    let inner = read_message(input.take(length)?, 1)?;
    if inner.xid != xid {
        return input.error("transaction id inside a bundle differs from that outside");
    }
    Ok(Body::BundleAdd { bundle, flags, message: Box::new(inner.body) })
}

fn read_experimenter(mut input: Reader<'_>) -> Result<Body, Error> {
    let all = input;
    Ok(match (input.u32()?, input.u32()?) {
        (nicira::NICIRA, NXT_CT_FLUSH_ZONE) => {
            input.skip(6)?;
            Body::CtFlushZone(input.u16()?)
        }
        (nicira::NICIRA, NXT_CT_FLUSH) => Body::CtFlush(CtFlush::read(input)?),
        _ => Body::Unknown { kind: EXPERIMENTER, octets: all.rest().to_vec() },
    })
}
