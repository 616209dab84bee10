use super::*;
use proptest::prelude::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn wanted(prefixes: &[&str]) -> NewPool {
    NewPool { prefixes: prefixes.iter().map(|text| net(text)).collect(), ..NewPool::default() }
}

fn pool(prefixes: &[&str], allocated: &[&str]) -> Pool {
    let plan = plan_pool(&wanted(prefixes)).unwrap();
    Pool { plan, default_quota: None, allocated: allocated.iter().map(|text| net(text)).collect(), held: Vec::new() }
}

#[test]
fn lengths_follow_the_ip_version() {
    let v4 = plan_pool(&wanted(&["10.1.0.0/16", "10.0.0.0/16"])).unwrap();
    assert_eq!((v4.ip_version, v4.default_prefixlen, v4.min_prefixlen, v4.max_prefixlen), (4, 8, 8, 32));
    assert_eq!(v4.prefixes.prefixes(), [net("10.0.0.0/15")]);
    let v6 = plan_pool(&wanted(&["fd00::/48"])).unwrap();
    assert_eq!((v6.ip_version, v6.default_prefixlen, v6.min_prefixlen, v6.max_prefixlen), (6, 64, 64, 128));
}

#[test]
fn bounds_that_contradict_each_other_are_refused() {
    let refused = |min, max, default| {
        let bounds =
            NewPool { min_prefixlen: min, max_prefixlen: max, default_prefixlen: default, ..wanted(&["10.0.0.0/8"]) };
        plan_pool(&bounds).unwrap_err().to_string()
    };
    assert_eq!(refused(Some(25), Some(24), None), "Illegal prefix bounds: min_prefixlen=25, max_prefixlen=24.");
    assert_eq!(refused(None, Some(33), None), "Illegal prefix bounds: max_prefixlen=33, ip_version_max=32.");
    assert_eq!(refused(Some(24), None, Some(20)), "Illegal prefix bounds: default_prefixlen=20, min_prefixlen=24.");
    assert_eq!(refused(None, Some(24), Some(28)), "Illegal prefix bounds: default_prefixlen=28, max_prefixlen=24.");
    assert_eq!(plan_pool(&wanted(&[])), Err(ModelError::EmptySubnetPoolPrefixList));
    assert_eq!(plan_pool(&wanted(&["10.0.0.0/8", "fd00::/48"])), Err(ModelError::PrefixVersionMismatch));
}

#[test]
fn the_smallest_block_that_fits_is_cut_from_its_beginning() {
    let pool = pool(&["10.0.0.0/16", "192.168.0.0/24"], &["192.168.0.0/26"]);
    assert_eq!(pool.cut_any(Some(26)), Ok(net("192.168.0.64/26")));
    assert_eq!(pool.cut_any(Some(25)), Ok(net("192.168.0.128/25")));
    assert_eq!(pool.cut_any(Some(24)), Ok(net("10.0.0.0/24")));
    assert_eq!(
        pool.cut_any(None).unwrap_err().to_string(),
        "Failed to allocate subnet: Insufficient prefix space to allocate subnet size /8."
    );
    assert_eq!(pool.cut(net("10.0.7.9/24")), Ok(net("10.0.7.0/24")));
    assert_eq!(pool.cut(net("192.168.0.0/25")).unwrap_err().type_name(), "SubnetAllocationError");
    assert_eq!(pool.cut(net("fd00::/24")).unwrap_err().type_name(), "SubnetAllocationError");
}

#[test]
fn quota_counts_addresses_and_64s() {
    let mut v4 = pool(&["10.0.0.0/8"], &[]);
    v4.default_quota = Some(12);
    v4.held = vec![net("10.0.0.0/29")];
    assert!(v4.cut_any(Some(30)).is_ok());
    assert_eq!(v4.cut_any(Some(29)), Err(ModelError::SubnetPoolQuotaExceeded));
    let mut v6 = pool(&["fd00::/48"], &[]);
    v6.default_quota = Some(1);
    assert!(v6.cut_any(Some(64)).is_ok());
    v6.held = vec![net("fd00::/64")];
    assert_eq!(v6.cut_any(Some(128)), Err(ModelError::SubnetPoolQuotaExceeded));
    v6.default_quota = Some(0);
    assert!(v6.cut_any(Some(64)).is_ok());
}

#[test]
fn one_source_of_addresses_for_a_network() {
    let (scope, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let of = |version, pool: Option<&str>, scope| Sibling {
        ip_version: version,
        subnetpool_id: pool.map(str::to_owned),
        address_scope_id: scope,
    };
    let check = |siblings: &[Sibling], new: Sibling| check_affinity(siblings, &new).map_err(|e| e.type_name());
    assert_eq!(check(&[], of(4, Some("a"), None)), Ok(()));
    assert_eq!(check(&[of(4, Some("a"), None)], of(4, Some("a"), None)), Ok(()));
    assert_eq!(check(&[of(6, Some("b"), None)], of(4, Some("a"), None)), Ok(()));
    assert_eq!(check(&[of(4, Some("b"), None)], of(4, Some("a"), None)), Err("NetworkSubnetPoolAffinityError"));
    assert_eq!(check(&[of(4, None, None)], of(4, Some("a"), None)), Err("NetworkSubnetPoolAffinityError"));
    assert_eq!(check(&[of(4, Some("a"), None)], of(4, None, None)), Err("NetworkSubnetPoolAffinityError"));
    assert_eq!(check(&[of(4, Some("b"), Some(scope))], of(4, Some("a"), Some(scope))), Ok(()));
    let foreign = check(&[of(4, Some("b"), Some(scope))], of(4, Some("a"), Some(other)));
    assert_eq!(foreign, Err("NetworkAddressScopeAffinityError"));
    let delegated = of(6, Some(PREFIX_DELEGATION), None);
    assert_eq!(check(std::slice::from_ref(&delegated), delegated.clone()), Ok(()));
    assert_eq!(check(&[of(6, None, None)], delegated), Err("NetworkSubnetPoolAffinityError"));
}

proptest! {
    /// However subnets come and go: no two overlap, none leaves the pool, none is larger or smaller than asked, and a block is
    /// refused only when there is no room for it.
    #[test]
    fn cuts_never_overlap_and_never_leave_the_pool(
        requests in proptest::collection::vec((any::<bool>(), 24u32..=30, any::<u8>()), 1..60),
    ) {
        let mut pool = pool(&["10.0.0.0/25", "10.0.0.192/26", "10.0.3.0/27"], &[]);
        for (any, length, number) in requests {
            if number % 4 == 0 && !pool.allocated.is_empty() {
                let index = usize::from(number) % pool.allocated.len();
                pool.allocated.swap_remove(index);
                continue;
            }
            let named = IpNet::new([10, 0, 0, number].into(), u8::try_from(length).unwrap()).unwrap().trunc();
            let outcome = if any { pool.cut_any(Some(length)) } else { pool.cut(named) };
            let inside = |cidr: IpNet| pool.plan.prefixes.prefixes().iter().any(|prefix| prefix.contains(&cidr));
            let clear = |cidr: IpNet| !pool.allocated.iter().any(|other| crate::subnet::overlap(*other, cidr));
            match outcome {
                Ok(cidr) => {
                    prop_assert_eq!(u32::from(cidr.prefix_len()), length);
                    prop_assert!(any || cidr == named);
                    prop_assert!(inside(cidr) && clear(cidr), "{} of {:?}", cidr, pool.allocated);
                    pool.allocated.push(cidr);
                }
                Err(_) if any => {
                    let space: IpNet = "10.0.0.0/22".parse().unwrap();
                    let mut all = space.subnets(u8::try_from(length).unwrap()).unwrap();
                    prop_assert!(!all.any(|cidr| inside(cidr) && clear(cidr)), "there was room for /{}", length);
                }
                Err(_) => prop_assert!(!(inside(named) && clear(named))),
            }
        }
    }
}
