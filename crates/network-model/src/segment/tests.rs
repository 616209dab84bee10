use super::*;
use crate::ModelError;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Default)]
struct Used(BTreeSet<(NetworkType, Option<String>, Option<u32>)>);

impl UsedSegments for Used {
    type Error = ModelError;
    fn is_used(&mut self, kind: NetworkType, physnet: Option<&str>, id: Option<u32>) -> Result<bool, ModelError> {
        Ok(self.0.contains(&(kind, physnet.map(str::to_owned), id)))
    }
    fn used_ids(
        &mut self,
        kind: NetworkType,
        physnet: Option<&str>,
        (first, last): (u32, u32),
        limit: usize,
    ) -> Result<Vec<u32>, ModelError> {
        let fits = |(k, p, id): &(NetworkType, Option<String>, Option<u32>)| {
            id.filter(|id| *k == kind && p.as_deref() == physnet && (first..=last).contains(id))
        };
        Ok(self.0.iter().filter_map(fits).take(limit).collect())
    }
}

impl Used {
    fn add(&mut self, segment: Segment) -> bool {
        self.0.insert((segment.network_type, segment.physical_network, segment.segmentation_id))
    }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn config() -> SegmentConfig {
    SegmentConfig {
        tenant_network_types: list(&["vlan", "vxlan"]),
        flat_networks: list(&["public"]),
        network_vlan_ranges: list(&["physnet1:100:101", "physnet2:7:7"]),
        vni_ranges: list(&["5:5", "9:10"]),
        ..SegmentConfig::default()
    }
}

fn types() -> SegmentTypes {
    SegmentTypes::new(&config()).unwrap()
}

fn asked(kind: &str, physnet: Option<&str>, id: Option<u32>) -> ProviderAttributes {
    ProviderAttributes {
        network_type: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        physical_network: physnet.map(str::to_owned),
        segmentation_id: id,
    }
}

fn choose(used: &mut Used, asked: &ProviderAttributes) -> Result<Segment, ModelError> {
    types().choose(asked, false, 0, used)
}

fn text(segment: &Segment) -> String {
    format!(
        "{} {} {}",
        segment.network_type,
        segment.physical_network.as_deref().unwrap_or("-"),
        segment.segmentation_id.unwrap_or(0)
    )
}

#[test]
fn projects_get_one_type_after_the_other() {
    let mut used = Used::default();
    let mut got = Vec::new();
    let end = loop {
        match choose(&mut used, &ProviderAttributes::default()) {
            Ok(segment) => {
                got.push(text(&segment));
                assert!(used.add(segment));
            }
            Err(error) => break error,
        }
    };
    assert_eq!(
        got,
        ["vlan physnet1 100", "vlan physnet1 101", "vlan physnet2 7", "vxlan - 5", "vxlan - 9", "vxlan - 10"]
    );
    assert_eq!((end.type_name(), end.status()), ("NoNetworkAvailable", 503));
}

#[test]
fn attributes_are_checked_as_neutron_does() {
    let refusal = |attributes: ProviderAttributes| {
        let error = choose(&mut Used::default(), &attributes).unwrap_err();
        assert_eq!((error.type_name(), error.status()), ("InvalidInput", 400));
        error.to_string().replace("Invalid input for operation: ", "")
    };
    assert_eq!(refusal(asked("", Some("public"), None)), "network_type required.");
    assert_eq!(refusal(asked("ipsec", None, None)), "network_type value 'ipsec' not supported.");
    assert_eq!(refusal(asked("flat", None, None)), "physical_network required for flat provider network.");
    assert_eq!(refusal(asked("flat", Some("x"), None)), "physical_network 'x' unknown for flat provider network.");
    assert_eq!(
        refusal(asked("flat", Some("public"), Some(4))),
        "segmentation_id prohibited for flat provider network."
    );
    assert_eq!(refusal(asked("vlan", Some("x"), None)), "physical_network 'x' unknown for VLAN provider network.");
    assert_eq!(
        refusal(asked("vlan", None, Some(4))),
        "segmentation_id requires physical_network for VLAN provider network."
    );
    for id in [0, 4095, 70_000] {
        assert_eq!(
            refusal(asked("vlan", Some("physnet1"), Some(id))),
            "segmentation_id out of range (1 through 4094)."
        );
    }
    assert_eq!(refusal(asked("vxlan", Some("x"), None)), "provider:physical_network specified for vxlan network.");
    assert_eq!(refusal(asked("vxlan", None, Some(1 << 24))), "segmentation_id out of range (1 through 16777215).");
    assert_eq!(refusal(asked("local", Some("x"), None)), "physical_network prohibited for local provider network.");
    let disabled = SegmentTypes::new(&SegmentConfig { flat_networks: Vec::new(), ..config() }).unwrap();
    let error = disabled.choose(&asked("flat", Some("public"), None), false, 0, &mut Used::default()).unwrap_err();
    assert!(error.to_string().contains("Flat provider networks are disabled"));
}

#[test]
fn what_is_asked_for_is_given_once() {
    let mut used = Used::default();
    let refusals = [
        (asked("flat", Some("public"), None), "FlatNetworkInUse"),
        // Outside the ranges for projects, which bind only those who do not say.
        (asked("vlan", Some("physnet1"), Some(3000)), "VlanIdInUse"),
        (asked("vxlan", None, Some(77)), "TunnelIdInUse"),
        (asked("gre", None, Some(u32::MAX)), "TunnelIdInUse"),
    ];
    for (attributes, refusal) in refusals {
        let segment = choose(&mut used, &attributes).unwrap();
        used.add(segment);
        let error = choose(&mut used, &attributes).unwrap_err();
        assert_eq!((error.type_name(), error.status()), (refusal, 409));
    }
    assert_eq!(text(&choose(&mut used, &asked("vlan", Some("physnet2"), None)).unwrap()), "vlan physnet2 7");
    assert_eq!(text(&choose(&mut used, &asked("vlan", None, None)).unwrap()), "vlan physnet1 100");
    assert_eq!(text(&choose(&mut used, &asked("vxlan", None, None)).unwrap()), "vxlan - 5");
    assert_eq!(text(&choose(&mut used, &asked("local", None, None)).unwrap()), "local - 0");
    assert_eq!(choose(&mut used, &asked("gre", None, None)), Err(ModelError::NoNetworkAvailable));
}

#[test]
fn only_the_id_of_a_vlan_network_changes() {
    let mut used = Used::default();
    let vlan = choose(&mut used, &asked("vlan", Some("physnet1"), Some(100))).unwrap();
    used.add(vlan.clone());
    let other = choose(&mut used, &asked("vlan", Some("physnet1"), Some(200))).unwrap();
    used.add(other);
    assert_eq!(text(&types().change_vlan_id(&vlan, Some(300), &mut used).unwrap()), "vlan physnet1 300");
    assert_eq!(types().change_vlan_id(&vlan, Some(100), &mut used), Ok(vlan.clone()));
    assert_eq!(types().change_vlan_id(&vlan, Some(200), &mut used).unwrap_err().type_name(), "VlanIdInUse");
    assert!(types().change_vlan_id(&vlan, None, &mut used).unwrap_err().to_string().contains("Only segmentation_id"));
    let flat = choose(&mut used, &asked("flat", Some("public"), None)).unwrap();
    assert!(types().change_vlan_id(&flat, Some(5), &mut used).unwrap_err().to_string().contains("Only VLAN type"));
}

#[test]
fn an_external_network_may_have_its_own_type() {
    let config = SegmentConfig { external_network_type: "local".to_owned(), ..config() };
    let types = SegmentTypes::new(&config).unwrap();
    let pick = |external| types.choose(&ProviderAttributes::default(), external, 0, &mut Used::default()).unwrap();
    assert_eq!((text(&pick(true)), text(&pick(false))), ("local - 0".to_owned(), "vlan physnet1 100".to_owned()));
}

#[test]
fn configuration_errors_are_neutrons() {
    let refusal = |change: fn(&mut SegmentConfig)| {
        let mut config = config();
        change(&mut config);
        SegmentTypes::new(&config).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(|c| c.network_vlan_ranges = list(&["physnet1:5"])),
        "Invalid network VLAN range: 'physnet1:5' - 'Need exactly two values for VLAN range'."
    );
    assert_eq!(
        refusal(|c| c.network_vlan_ranges = list(&["physnet1:5:4095"])),
        "Invalid network VLAN range: 'physnet1:5:4095' - '4095 is not a valid VLAN tag'."
    );
    assert_eq!(
        refusal(|c| c.network_vlan_ranges = list(&["physnet1:9:5"])),
        "Invalid network VLAN range: 'physnet1:9:5' - 'End of VLAN range is less than start of VLAN range'."
    );
    assert_eq!(refusal(|c| c.network_vlan_ranges = list(&[":9:5"])), "Empty physical network name.");
    assert_eq!(
        refusal(|c| c.vni_ranges = list(&["0:5"])),
        "Invalid network tunnel range: '0:5' - 0 is not a valid vxlan identifier."
    );
    assert_eq!(
        refusal(|c| c.vni_ranges = list(&["9:5"])),
        "Invalid network tunnel range: '9:5' - End of tunnel range is less than start of tunnel range."
    );
    assert!(refusal(|c| c.vni_ranges = list(&["9"])).starts_with("Invalid network tunnel range: '9'"));
    assert_eq!(
        refusal(|c| c.type_drivers = list(&["flat"])),
        "An invalid value was provided for tenant_network_types: vlan."
    );
    assert!(refusal(|c| c.tenant_network_types = list(&["token-ring"])).ends_with("token-ring."));
    assert!(refusal(|c| c.physical_network_mtus = list(&["physnet1"])).contains("physical_network_mtus"));
    assert!(refusal(|c| c.overlay_ip_version = 5).contains("overlay_ip_version: 5"));

    let whole = SegmentConfig { network_vlan_ranges: list(&["a", "a:1:2", "b:1:2", "b:8:9"]), ..config() };
    let names = SegmentTypes::new(&whole).unwrap();
    assert_eq!(names.physical_networks().collect::<Vec<_>>(), ["public", "a", "b"]);
    let last = asked("vlan", Some("a"), None);
    assert_eq!(text(&names.choose(&last, false, 4093, &mut Used::default()).unwrap()), "vlan a 4094");
}

#[test]
fn mtu_is_what_is_left_of_the_wire() {
    let segment = |kind: NetworkType, physnet: Option<&str>| Segment {
        network_type: kind,
        physical_network: physnet.map(str::to_owned),
        segmentation_id: None,
    };
    let vxlan = segment(NetworkType::Vxlan, None);
    let mtu = |change: fn(&mut SegmentConfig)| {
        let mut config = config();
        change(&mut config);
        SegmentTypes::new(&config).unwrap().mtu().clone()
    };
    let plain = mtu(|_| ());
    assert_eq!(plain.largest(&vxlan), 1450);
    assert_eq!(plain.largest(&segment(NetworkType::Gre, None)), 1458);
    assert_eq!(plain.largest(&segment(NetworkType::Flat, Some("public"))), 1500);
    assert_eq!(plain.largest(&segment(NetworkType::Local, None)), 1500);
    assert_eq!(mtu(|c| c.overlay_ip_version = 6).largest(&vxlan), 1430);
    let jumbo = mtu(|c| {
        (c.global_physnet_mtu, c.path_mtu) = (9000, 4000);
        c.physical_network_mtus = list(&["public:1600"]);
    });
    assert_eq!(jumbo.largest(&vxlan), 3950);
    assert_eq!(jumbo.largest(&segment(NetworkType::Flat, Some("public"))), 1600);
    assert_eq!(jumbo.largest(&segment(NetworkType::Vlan, Some("physnet1"))), 9000);

    assert_eq!(plain.of_network(&vxlan, 0), Ok(1450));
    assert_eq!(plain.of_network(&vxlan, 1400), Ok(1400));
    assert_eq!(
        plain.of_network(&vxlan, 1451).unwrap_err().to_string(),
        "Invalid input for operation: Requested MTU is too big, maximum is 1450."
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))] // Each case fills the ranges: some 700 allocations.

    #[test]
    fn every_id_is_given_once_wherever_the_search_starts(starts in proptest::collection::vec(any::<u32>(), 700)) {
        let config = SegmentConfig {
            tenant_network_types: list(&["vxlan"]),
            vni_ranges: list(&["10:400", "1000:1000", "2000:2200"]),
            ..config()
        };
        let types = SegmentTypes::new(&config).unwrap();
        let mut used = Used::default();
        let mut given = 0;
        for start in starts {
            match types.choose(&ProviderAttributes::default(), false, start, &mut used) {
                Ok(segment) => {
                    let id = segment.segmentation_id.unwrap();
                    prop_assert!((10..=400).contains(&id) || id == 1000 || (2000..=2200).contains(&id));
                    prop_assert!(used.add(segment), "{} given twice", id);
                    given += 1;
                }
                Err(error) => prop_assert_eq!(error, ModelError::NoNetworkAvailable),
            }
        }
        prop_assert_eq!(given, 391 + 1 + 201);
    }
}
