//! The decision: what is answered at once, what is asked elsewhere. Pure; no packet, however malformed, makes it panic.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use host_plan::{DnsServer, DnsUpstream};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What fits in every datagram on the way (the figure of the DNS flag day 2020).
const MAX_UDP: u16 = 1232;
const MIN_UDP: u16 = 512;
/// A port may get another address or name at any time.
const TTL: u32 = 0;

/// The network's own names, ready to be looked up.
#[derive(Debug, Clone, Default)]
pub struct DnsZone {
    /// None: names have no domain.
    domain: Option<Name>,
    /// By name in lower case: alone, and with the domain.
    addresses: BTreeMap<Name, Vec<IpAddr>>,
    /// By reverse name (RFC 1035 section 3.5, RFC 3596 section 2.5).
    pointers: BTreeMap<Name, Name>,
    forwards: bool,
}

impl DnsZone {
    /// Of a plan. Names that cannot be names in DNS are left out.
    pub fn new(plan: &DnsServer) -> Self {
        let domain = Name::from_ascii(format!("{}.", plan.domain)).ok().filter(|_| !plan.domain.is_empty());
        let mut zone = Self {
            domain: domain.map(|domain| domain.to_lowercase()),
            forwards: plan.upstream != DnsUpstream::Nobody,
            ..Self::default()
        };
        for (address, name) in &plan.names {
            let full = if zone.domain.is_some() { format!("{name}.{}.", plan.domain) } else { format!("{name}.") };
            let (Ok(short), Ok(full)) = (Name::from_ascii(format!("{name}.")), Name::from_ascii(full)) else {
                continue;
            };
            for known in [short.to_lowercase(), full.to_lowercase()] {
                let addresses = zone.addresses.entry(known).or_default();
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
            }
            zone.pointers.insert(Name::from(*address).to_lowercase(), full);
        }
        zone
    }
}

/// What to do with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsAnswer {
    /// Say this.
    Say(Vec<u8>),
    /// Ask the resolvers, and say what they say.
    Ask,
    /// Not a question: say nothing.
    Nothing,
}

/// What to do with `query`; `datagram`: the answer must fit into one.
pub fn dns_answer(query: &[u8], zone: &DnsZone, datagram: bool) -> DnsAnswer {
    // A response is never answered: two servers would never stop.
    let Some([high, low, flags, ..]) = query.first_chunk::<12>().filter(|header| header[2] & 0x80 == 0) else {
        return DnsAnswer::Nothing;
    };
    let id = u16::from_be_bytes([*high, *low]);
    let Ok(message) = Message::from_vec(query) else {
        let op_code = OpCode::from_u8((flags >> 3) & 0xf);
        return said(&Message::error_msg(id, op_code, ResponseCode::FormErr), None);
    };
    let limit =
        datagram.then(|| message.edns.as_ref().map_or(MIN_UDP, |edns| edns.max_payload().clamp(MIN_UDP, MAX_UDP)));
    match decide(&message, zone) {
        Some((code, records)) => said(&reply(&message, zone, code, records), limit),
        None => DnsAnswer::Ask,
    }
}

/// What to say when no resolver has answered.
pub(super) fn failure(query: &[u8], zone: &DnsZone) -> Option<Vec<u8>> {
    let message = Message::from_vec(query).ok()?;
    match said(&reply(&message, zone, ResponseCode::ServFail, vec![]), Some(MIN_UDP)) {
        DnsAnswer::Say(bytes) => Some(bytes),
        _ => None,
    }
}

/// None: others are to be asked.
fn decide(message: &Message, zone: &DnsZone) -> Option<(ResponseCode, Vec<Record>)> {
    let nothing = |code| Some((code, vec![]));
    if message.metadata.message_type != MessageType::Query || message.metadata.op_code != OpCode::Query {
        return nothing(ResponseCode::NotImp);
    }
    let [question] = message.queries.as_slice() else { return nothing(ResponseCode::FormErr) };
    if question.query_class() != DNSClass::IN {
        return nothing(ResponseCode::Refused);
    }
    let kind = question.query_type();
    // Whole zones are nobody's business.
    if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return nothing(ResponseCode::Refused);
    }
    let name = question.name().to_lowercase();
    let record = |data| Record::from_rdata(question.name().clone(), TTL, data);
    if let Some(addresses) = zone.addresses.get(&name) {
        let wanted = addresses.iter().filter_map(|address| match address {
            IpAddr::V4(address) if matches!(kind, RecordType::A | RecordType::ANY) => Some(RData::A(A(*address))),
            IpAddr::V6(address) if matches!(kind, RecordType::AAAA | RecordType::ANY) => {
                Some(RData::AAAA(AAAA(*address)))
            }
            _ => None,
        });
        // A name that has no such record is there all the same.
        return Some((ResponseCode::NoError, wanted.map(record).collect()));
    }
    if let Some(pointer) = zone.pointers.get(&name) {
        let wanted = matches!(kind, RecordType::PTR | RecordType::ANY);
        let records = wanted.then(|| record(RData::PTR(PTR(pointer.clone()))));
        return Some((ResponseCode::NoError, records.into_iter().collect()));
    }
    let is_bare = name.num_labels() == 1 && matches!(kind, RecordType::A | RecordType::AAAA | RecordType::ANY);
    if is_bare {
        return nothing(ResponseCode::NXDomain);
    }
    if zone.forwards {
        return None;
    }
    let is_ours = zone.domain.as_ref().is_some_and(|domain| domain.zone_of(&name));
    nothing(if is_ours { ResponseCode::NXDomain } else { ResponseCode::Refused })
}

fn reply(query: &Message, zone: &DnsZone, code: ResponseCode, records: Vec<Record>) -> Message {
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata = Metadata::response_from_request(&query.metadata);
    message.metadata.response_code = code;
    message.metadata.recursion_available = zone.forwards;
    message.metadata.authoritative = !records.is_empty();
    message.add_queries(query.queries.iter().take(1).cloned());
    message.add_answers(records);
    if query.edns.is_some() {
        // RFC 6891 section 6.1.1: who is asked with it answers with it.
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP);
        message.set_edns(edns);
    }
    message
}

fn said(message: &Message, limit: Option<u16>) -> DnsAnswer {
    let fits = |bytes: &Vec<u8>| limit.is_none_or(|limit| bytes.len() <= usize::from(limit));
    let whole = message.to_vec().ok().filter(fits);
    whole.or_else(|| message.truncate().to_vec().ok()).map_or(DnsAnswer::Nothing, DnsAnswer::Say)
}

/// Entry point of the fuzz target: arbitrary bytes to a server of one network. An answer must be readable, and an answer.
pub fn fuzz_dns(data: &[u8]) {
    for upstream in [DnsUpstream::Nobody, DnsUpstream::HostResolvers] {
        let zone = DnsZone::new(&DnsServer {
            network: net_types::NetworkId(Default::default()),
            device: String::new(),
            addresses: Default::default(),
            domain: "example.org".to_owned(),
            names: (0..100).map(|n| (IpAddr::from([10, 0, 0, n]), "a".to_owned())).collect(),
            upstream,
        });
        for datagram in [false, true] {
            if let DnsAnswer::Say(bytes) = dns_answer(data, &zone, datagram) {
                assert!(bytes[2] & 0x80 != 0 && bytes[..2] == data[..2] && Message::from_vec(&bytes).is_ok());
                assert!(!datagram || bytes.len() <= usize::from(MAX_UDP), "{} bytes", bytes.len());
            }
        }
        let _ = failure(data, &zone);
        let _ = super::upstream::question(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use proptest::prelude::*;

    fn plan(upstream: DnsUpstream) -> DnsServer {
        let names = [("10.0.0.5", "VM-a"), ("2001:db8::5", "vm-a"), ("10.0.0.6", "host-10-0-0-6")];
        DnsServer {
            network: net_types::NetworkId(uuid::Uuid::nil()),
            device: "tap0".to_owned(),
            addresses: [].into(),
            domain: "openstacklocal".to_owned(),
            names: names.iter().map(|(address, name)| (address.parse().unwrap(), (*name).to_owned())).collect(),
            upstream,
        }
    }

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    /// Code and data; "ask" and "-" for the other ways.
    fn ask(upstream: DnsUpstream, name: &str, kind: RecordType) -> String {
        let message = question(name, kind);
        match dns_answer(&message.to_vec().unwrap(), &DnsZone::new(&plan(upstream)), true) {
            DnsAnswer::Ask => "ask".to_owned(),
            DnsAnswer::Nothing => "-".to_owned(),
            DnsAnswer::Say(bytes) => {
                let read = Message::from_vec(&bytes).unwrap();
                assert_eq!((read.metadata.id, &read.queries), (message.metadata.id, &message.queries));
                let data: Vec<_> = read.answers.iter().map(|record| record.data.to_string()).collect();
                format!("{:?} {}", read.metadata.response_code, data.join(" ")).trim_end().to_owned()
            }
        }
    }

    #[test]
    fn own_names_are_answered_in_every_way() {
        let own = |name, kind| ask(DnsUpstream::Nobody, name, kind);
        for name in ["vm-a.openstacklocal.", "VM-A.OpenStackLocal.", "vm-a."] {
            assert_eq!(own(name, RecordType::A), "NoError 10.0.0.5");
            assert_eq!(own(name, RecordType::AAAA), "NoError 2001:db8::5");
            assert_eq!(own(name, RecordType::MX), "NoError", "it is there, but has none");
        }
        assert_eq!(own("host-10-0-0-6.openstacklocal.", RecordType::A), "NoError 10.0.0.6");
        assert_eq!(own("5.0.0.10.in-addr.arpa.", RecordType::PTR), "NoError VM-a.openstacklocal.");
        let reverse = format!("{}8.b.d.0.1.0.0.2.ip6.arpa.", "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.");
        assert_eq!(own(&reverse, RecordType::PTR), "NoError vm-a.openstacklocal.");
    }

    #[test]
    fn other_names_are_asked_for_or_refused() {
        let both = |name, kind| (ask(DnsUpstream::Nobody, name, kind), ask(DnsUpstream::HostResolvers, name, kind));
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        assert_eq!(both("example.org.", RecordType::A), pair("Refused", "ask"));
        assert_eq!(both("nobody.openstacklocal.", RecordType::A), pair("NXDomain", "ask"));
        assert_eq!(both("9.0.0.10.in-addr.arpa.", RecordType::PTR), pair("Refused", "ask"));
        assert_eq!(both("the-host-itself.", RecordType::A), pair("NXDomain", "NXDomain"));
        assert_eq!(both("org.", RecordType::NS), pair("Refused", "ask"));
        assert_eq!(both("openstacklocal.", RecordType::AXFR), pair("Refused", "Refused"));
    }

    #[test]
    fn what_is_no_question_is_no_reason_to_talk() {
        let zone = DnsZone::new(&plan(DnsUpstream::Nobody));
        let mut response = question("vm-a.", RecordType::A);
        response.metadata.message_type = MessageType::Response;
        assert_eq!(dns_answer(&response.to_vec().unwrap(), &zone, true), DnsAnswer::Nothing);
        assert_eq!(dns_answer(&[0; 11], &zone, true), DnsAnswer::Nothing);
        let mut cut = question("vm-a.", RecordType::A).to_vec().unwrap();
        cut.truncate(14);
        let DnsAnswer::Say(error) = dns_answer(&cut, &zone, true) else { panic!() };
        assert_eq!(Message::from_vec(&error).unwrap().metadata.response_code, ResponseCode::FormErr);
    }

    #[test]
    fn what_does_not_fit_comes_by_tcp() {
        let mut plan = plan(DnsUpstream::Nobody);
        plan.names = (0..100).map(|n| (IpAddr::from([10, 0, 0, n]), "many".to_owned())).collect();
        let zone = DnsZone::new(&plan);
        let query = question("many.openstacklocal.", RecordType::A).to_vec().unwrap();
        let read = |datagram| match dns_answer(&query, &zone, datagram) {
            DnsAnswer::Say(bytes) => Message::from_vec(&bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        assert!(read(true).metadata.truncation && read(true).answers.is_empty());
        assert_eq!((read(false).metadata.truncation, read(false).answers.len()), (false, 100));
    }

    #[test]
    fn who_is_asked_with_edns_answers_with_it() {
        let zone = DnsZone::new(&plan(DnsUpstream::Nobody));
        let mut query = question("vm-a.", RecordType::A);
        query.set_edns(Edns::new());
        let DnsAnswer::Say(bytes) = dns_answer(&query.to_vec().unwrap(), &zone, true) else { panic!() };
        assert!(Message::from_vec(&bytes).unwrap().edns.is_some());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(data in proptest::collection::vec(any::<u8>(), 0..120), kind in 0u8..40) {
            fuzz_dns(&data);
            let head = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, kind, 0, 1];
            fuzz_dns(&[&head[..], &data].concat());
        }
    }
}
