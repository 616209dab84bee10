//! Every refusal of the rules, under the names and texts that Neutron's clients know.
//!
//! Each variant is one Neutron exception: its name is the `type` of the API's error body, its text the `message`, and its
//! [`Fault`] the HTTP status. Tools match on these texts (tempest, openstacksdk, Heat), so they are part of the contract.
//! A refusal is final for what the transaction has read: asking again with the same facts gives the same answer, so none
//! of these is retried. (Two requests racing for one row is the store's error, and the store's retry.)

use net_types::{
    FloatingIpId, IpNet, MacAddr, NetworkId, PortId, RouterId, SecurityGroupId, SecurityGroupRuleId, SubnetId, TrunkId,
};
use std::net::IpAddr;
use uuid::Uuid;

/// What kind of refusal it is, as Neutron's base exceptions divide them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request itself is wrong (400).
    BadRequest,
    /// Something that it names does not exist, or not for this caller (404).
    NotFound,
    /// It contradicts what is there (409).
    Conflict,
    /// What it wants to take or remove is used (409).
    InUse,
    /// Nothing is left to give (503).
    ServiceUnavailable,
}

impl Fault {
    /// The HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::Conflict | Self::InUse => 409,
            Self::ServiceUnavailable => 503,
        }
    }
}

macro_rules! errors {
    ($($(#[$doc:meta])* $fault:ident $name:ident $({ $($field:ident: $kind:ty),* })? = $text:literal;)*) => {
        /// A refusal of the rules: one variant per Neutron exception, the fields being what its message tells.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[allow(missing_docs)] // The fields are the holes of the message beside them.
        pub enum ModelError {
            $($(#[$doc])* #[error($text)] $name $({ $($field: $kind),* })?,)*
        }

        impl ModelError {
            /// Neutron's exception name, the `type` of the error body.
            pub fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }

            /// The kind of refusal.
            pub fn fault(&self) -> Fault {
                match self {
                    $(Self::$name { .. } => Fault::$fault,)*
                }
            }
        }
    };
}

errors! {
    // --- anything
    /// A request that is wrong for the resource, in words.
    BadRequest BadRequest { resource: &'static str, msg: String } = "Bad {resource} request: {msg}.";
    /// Input that is wrong, in words.
    BadRequest InvalidInput { error_message: String } = "Invalid input for operation: {error_message}.";
    /// The project has as many of these as it may have.
    Conflict OverQuota { overs: String } = "Quota exceeded for resources: {overs}.";
    /// A configuration option that cannot be read; stops the server at its start.
    BadRequest InvalidConfigurationOption { opt_name: &'static str, opt_value: String } =
        "An invalid value was provided for {opt_name}: {opt_value}.";

    // --- networks
    /// No such network, or not for this caller.
    NotFound NetworkNotFound { net_id: NetworkId } = "Network {net_id} could not be found.";
    /// The network still has ports.
    InUse NetworkInUse { net_id: NetworkId, reason: String } = "Unable to complete operation on network {net_id}. {reason}.";
    /// The network stops being shared while others use it.
    Conflict InvalidSharedSetting { network: String } =
        "Unable to reconfigure sharing settings for network {network}. Multiple projects are using it.";
    /// The MTU is below what an IP version of the network's subnets needs.
    Conflict NetworkMTUSubnetConflict { net_id: NetworkId, mtu: u32 } =
        "MTU of {net_id} is not valid, subnet requires a minimum of {mtu}";

    // --- segments
    /// All ids of all tenant network types are used.
    ServiceUnavailable NoNetworkAvailable = "Unable to create the network. No project network is available for allocation.";
    /// Another network has this VLAN id on this physical network.
    InUse VlanIdInUse { vlan_id: u32, physical_network: String } =
        "Unable to create the network. The VLAN {vlan_id} on physical network {physical_network} is in use.";
    /// Another network has this VNI or GRE key.
    InUse TunnelIdInUse { tunnel_id: u32 } = "Unable to create the network. The tunnel ID {tunnel_id} is in use.";
    /// Another flat network has this physical network.
    InUse FlatNetworkInUse { physical_network: String } =
        "Unable to create the flat network. Physical network {physical_network} is in use.";
    /// `network_vlan_ranges` cannot be read.
    BadRequest NetworkVlanRangeError { vlan_range: String, error: String } =
        "Invalid network VLAN range: '{vlan_range}' - '{error}'.";
    /// `vni_ranges` or `tunnel_id_ranges` cannot be read.
    BadRequest NetworkTunnelRangeError { tunnel_range: String, error: String } =
        "Invalid network tunnel range: '{tunnel_range}' - {error}.";
    /// `network_vlan_ranges` has a range without a name.
    BadRequest PhysicalNetworkNameError = "Empty physical network name.";

    // --- subnets
    /// No such subnet, or not for this caller.
    NotFound SubnetNotFound { subnet_id: SubnetId } = "Subnet {subnet_id} could not be found.";
    /// The subnet still gives addresses to ports.
    InUse SubnetInUse { subnet_id: SubnetId, reason: String } = "Unable to complete operation on subnet {subnet_id}: {reason}.";
    /// A pool that is not a pair of rising addresses of the subnet's IP version.
    BadRequest InvalidAllocationPool { pool: String } = "The allocation pool {pool} is not valid.";
    /// A pool that is not inside the subnet.
    BadRequest OutOfBoundsAllocationPool { pool: String, subnet_cidr: IpNet } =
        "The allocation pool {pool} spans beyond the subnet cidr {subnet_cidr}.";
    /// Two pools share addresses.
    Conflict OverlappingAllocationPools { pool_1: String, pool_2: String, subnet_cidr: IpNet } =
        "Found overlapping allocation pools: {pool_1} {pool_2} for subnet {subnet_cidr}.";
    /// The address that a gateway gets without being asked for is the network's or the broadcast one.
    Conflict IpamValueInvalid { gateway_ip: IpAddr, cidr: IpNet } =
        "Gateway IP {gateway_ip} cannot be the network or broadcast IP address {cidr}";
    /// A pool would hand out the gateway's address.
    InUse GatewayConflictWithAllocationPools { ip_address: IpAddr, pool: String } =
        "Gateway ip {ip_address} conflicts with allocation pool {pool}.";
    /// A router has the gateway's address, so it cannot change.
    InUse GatewayIpInUse { ip_address: IpAddr, port_id: PortId } =
        "Current gateway ip {ip_address} already in use by port {port_id}. Unable to update.";
    /// More DNS servers than DHCP clients would read.
    BadRequest DNSNameServersExhausted { subnet_id: String, quota: usize } =
        "Unable to complete operation for {subnet_id}. The number of DNS nameservers exceeds the limit {quota}.";
    /// More host routes than allowed.
    BadRequest HostRoutesExhausted { subnet_id: String, quota: usize } =
        "Unable to complete operation for {subnet_id}. The number of host routes exceeds the limit {quota}.";

    // --- subnet pools and address scopes
    /// No such pool, or not for this caller.
    NotFound SubnetPoolNotFound { subnetpool_id: Uuid } = "Subnet pool {subnetpool_id} could not be found.";
    /// A pool is made of at least one prefix.
    BadRequest EmptySubnetPoolPrefixList = "Empty subnet pool prefix list.";
    /// A pool is of one IP version.
    BadRequest PrefixVersionMismatch = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.";
    /// Lengths that contradict each other.
    BadRequest IllegalSubnetPoolPrefixBounds { prefix_type: &'static str, prefixlen: u32, base_prefix_type: &'static str, base_prefixlen: u32 } =
        "Illegal prefix bounds: {prefix_type}={prefixlen}, {base_prefix_type}={base_prefixlen}.";
    /// A pool's prefixes only grow by an update, and used ones stay.
    BadRequest IllegalSubnetPoolPrefixUpdate { msg: String } = "Illegal update to prefixes: {msg}.";
    /// The pool cannot change so.
    BadRequest IllegalSubnetPoolUpdate { reason: String } = "Illegal subnetpool update : {reason}.";
    /// The pool has no room for the subnet. (Neutron's API answers 500 here, which says that the server has failed.)
    Conflict SubnetAllocationError { reason: String } = "Failed to allocate subnet: {reason}.";
    /// A subnet larger than the pool gives.
    BadRequest MinPrefixSubnetAllocationError { prefixlen: u32, min_prefixlen: u32 } =
        "Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is {min_prefixlen}.";
    /// A subnet smaller than the pool gives.
    BadRequest MaxPrefixSubnetAllocationError { prefixlen: u32, max_prefixlen: u32 } =
        "Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is {max_prefixlen}.";
    /// The project has as much of the pool as it may have.
    Conflict SubnetPoolQuotaExceeded = "Per-project subnet pool prefix quota exceeded.";
    /// Subnets have been cut out of the pool.
    BadRequest SubnetPoolDeleteError { reason: &'static str } = "Unable to delete subnet pool: {reason}.";
    /// A network's subnets of one IP version come from one pool.
    BadRequest NetworkSubnetPoolAffinityError = "Subnets hosted on the same network must be allocated from the same subnet pool.";
    /// A network's subnets of one IP version are in one address scope.
    BadRequest NetworkAddressScopeAffinityError =
        "Subnets of the same address family hosted on the same network must all participate in the same address scope.";
    /// No such scope, or not for this caller.
    NotFound AddressScopeNotFound { address_scope_id: Uuid } = "Address scope {address_scope_id} could not be found.";
    /// Pools are in the scope.
    InUse AddressScopeInUse { address_scope_id: Uuid } =
        "Unable to complete operation on address scope {address_scope_id}. There are one or more subnet pools in use on the address scope.";
    /// The scope cannot change so.
    BadRequest AddressScopeUpdateError { address_scope_id: Uuid, reason: &'static str } =
        "Unable to update address scope {address_scope_id} : {reason}.";
    /// No address is in two pools of a scope.
    Conflict AddressScopePrefixConflict =
        "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.";
    /// The scope is of the other IP version.
    BadRequest IllegalSubnetPoolIpVersionAssociationToAddressScope { subnetpool_id: Uuid, address_scope_id: Uuid, ip_version: u8 } =
        "Illegal subnetpool association: subnetpool {subnetpool_id} cannot associate with address scope {address_scope_id} because subnetpool ip_version is not {ip_version}.";

    // --- segments
    /// No such segment, or not for this caller.
    NotFound SegmentNotFound { segment_id: Uuid } = "Segment {segment_id} could not be found.";
    /// Subnets or ports are on the segment.
    InUse SegmentInUse { segment_id: Uuid, reason: String } = "Segment '{segment_id}' cannot be deleted: {reason}.";
    /// The segment is another network's.
    BadRequest NetworkIdsDontMatch { subnet_network: NetworkId, segment_id: Uuid } =
        "The subnet's network id, '{subnet_network}', doesn't match the network_id of segment '{segment_id}'";
    /// All of a network's subnets are on segments, or none is.
    BadRequest SubnetsNotAllAssociatedWithSegments { network_id: NetworkId } =
        "All of the subnets on network '{network_id}' must either all be associated with segments or all not associated with any segment.";
    /// Which segment would it be?
    BadRequest NoUpdateSubnetWhenMultipleSegmentsOnNetwork { network_id: NetworkId } =
        "The network '{network_id}' has multiple segments, it is only possible to associate an existing subnet with a segment on networks with a single segment.";
    /// A subnet stays on its segment.
    BadRequest SubnetSegmentAssociationChangeNotAllowed =
        "A subnet that is already associated with a segment cannot have its segment association changed.";
    /// The host is on no segment that has a subnet.
    Conflict HostNotConnectedToAnySegment { host: String, network_id: NetworkId } =
        "Host {host} is not connected to any segments on routed provider network '{network_id}'.  It should be connected to one.";
    /// The port's addresses are of another segment than the host's.
    Conflict HostNotCompatibleWithFixedIps { host: String, port_id: PortId } =
        "Host {host} is not connected to a segment where the existing fixed_ips on port {port_id} will function given the routed network topology.";
    /// A port is on one segment.
    BadRequest FixedIpsSubnetsNotOnSameSegment = "Cannot allocate addresses from different segments.";
    /// A network is described by one segment or by several, not by both.
    BadRequest SegmentsSetInConjunctionWithProviders =
        "Segments and provider values cannot both be set.";
    /// The same segment twice.
    BadRequest SegmentsContainDuplicateEntry = "Duplicate segment entry in request.";

    // --- ports and their addresses
    /// No subnet of the network is for such devices.
    Conflict IpAddressGenerationFailureNoMatchingSubnet { network_id: NetworkId, service_type: String } =
        "No valid service subnet for the given device owner, network {network_id}, service type {service_type}.";
    /// No such port, or not for this caller.
    NotFound PortNotFound { port_id: PortId } = "Port {port_id} could not be found.";
    /// Another port of the network has this MAC address.
    InUse MacAddressInUse { net_id: NetworkId, mac: MacAddr } =
        "Unable to complete operation for network {net_id}. The mac address {mac} is in use.";
    /// No free MAC address was found.
    ServiceUnavailable MacAddressGenerationFailure { net_id: NetworkId } = "Unable to generate unique mac on network {net_id}.";
    /// The pools of all subnets that would do are empty.
    Conflict IpAddressGenerationFailure { net_id: NetworkId } = "No more IP addresses available on network {net_id}.";
    /// Another port has this address.
    Conflict IpAddressAlreadyAllocated { ip: IpAddr, subnet_id: SubnetId } =
        "IP address {ip} already allocated in subnet {subnet_id}";
    /// The address is not a host address of the subnet that was named with it.
    BadRequest InvalidIpForSubnet { ip_address: IpAddr } = "IP address {ip_address} is not a valid IP for the specified subnet.";
    /// The address is in none of the network's subnets.
    BadRequest InvalidIpForNetwork { ip_address: IpAddr } =
        "IP address {ip_address} is not a valid IP for any of the subnets on the specified network.";
    /// An address on a SLAAC subnet that is not the one which SLAAC gives.
    BadRequest AllocationOnAutoAddressSubnet { ip: IpAddr, subnet_id: SubnetId } =
        "IPv6 address {ip} cannot be directly assigned to a port on subnet {subnet_id} as the subnet is configured for automatic addresses";
    /// The port belongs to a router or floating IP and goes with it.
    InUse ServicePortInUse { port_id: PortId, reason: String } = "Port {port_id} cannot be deleted directly via the port API: {reason}.";
    /// The port belongs to a device already.
    InUse PortInUse { net_id: NetworkId, port_id: PortId, device_id: String } =
        "Unable to complete operation on port {port_id} for network {net_id}. Port already has an attached device {device_id}.";
    /// The MAC address of a bound port cannot change.
    InUse PortBound { port_id: PortId, vif_type: String, old_mac: MacAddr, new_mac: MacAddr } =
        "Unable to complete operation on port {port_id}, port is already bound, port type: {vif_type}, old_mac {old_mac}, new_mac {new_mac}.";
    /// The operation is not for ports of this owner.
    Conflict UnsupportedPortDeviceOwner { op: &'static str, port_id: PortId, device_owner: String } =
        "Operation {op} is not supported for device_owner {device_owner} on port {port_id}.";
    /// A port cannot claim to be an interface of another project's router.
    Conflict DeviceIDNotOwnedByTenant { device_id: String } =
        "The following device_id {device_id} is not owned by your project or matches another project router.";
    /// Port security cannot go while security groups are set.
    InUse PortSecurityPortHasSecurityGroup =
        "Port has security group associated. Cannot disable port security or IP address until security group is removed.";
    /// Security groups need port security and an address.
    BadRequest PortSecurityAndIPRequiredForSecurityGroups =
        "Port security must be enabled and port must have an IP address in order to use security groups.";
    /// Allowed address pairs need port security.
    Conflict AddressPairAndPortSecurityRequired = "Port Security must be enabled in order to have allowed address pairs on a port.";
    /// The same pair twice.
    BadRequest DuplicateAddressPairInRequest { mac_address: String, ip_address: String } =
        "Request contains duplicate address pair: mac_address {mac_address} ip_address {ip_address}.";
    /// What a port tells Nova of its NUMA placement stays while it is plugged in.
    InUse PortBoundNUMAAffinityPolicy { port_id: PortId, host_id: String, numa_affinity_policy: String } =
        "Unable to complete operation on port {port_id}, port is already bound to host {host_id}, numa_affinity_policy value given {numa_affinity_policy}.";
    /// The network is no private VLAN.
    BadRequest PVLANNotEnabledOnNetwork { network_id: NetworkId } = "PVLAN is not enabled on network {network_id}.";
    /// Only a community has a name.
    BadRequest PVLANCannotSetCommunityName { port_id: PortId } =
        "PVLAN community name cannot be set if port type is not \"community\" for this port: {port_id}.";
    /// A community needs a name.
    BadRequest PVLANCommunityNameRequired { port_id: PortId } =
        "Community name is required for ports with PVLAN type \"community\": {port_id}.";
    /// An unprotected port cannot be kept apart.
    BadRequest PVLANPortSecurityDisabled { port_id: PortId } =
        "Port security is disabled for port {port_id}, cannot set PVLAN.";
    /// Nor can a network of such ports.
    BadRequest PVLANNetworkPortSecurityDisabled { network_id: NetworkId } =
        "Port security is disabled on network {network_id}, cannot enable PVLAN.";
    /// More pairs than allowed.
    BadRequest AllowedAddressPairExhausted { quota: usize } = "The number of allowed address pair exceeds the maximum {quota}.";

    // --- security groups
    /// No such group, or not for this caller.
    NotFound SecurityGroupNotFound { id: String } = "Security group {id} does not exist";
    /// No such rule, or not for this caller.
    NotFound SecurityGroupRuleNotFound { id: SecurityGroupRuleId } = "Security group rule {id} does not exist";
    /// The group protects ports.
    InUse SecurityGroupInUse { id: SecurityGroupId, reason: &'static str } = "Security Group {id} {reason}.";
    /// Only an administrator removes the default group.
    InUse SecurityGroupCannotRemoveDefault = "Insufficient rights for removing default security group.";
    /// The default group keeps its name.
    InUse SecurityGroupCannotUpdateDefault = "Updating default security group not allowed.";
    /// No other group may be called `default`.
    InUse SecurityGroupDefaultAlreadyExists = "Default security group already exists.";
    /// The change contradicts another.
    Conflict SecurityGroupConflict { reason: &'static str } = "Error {reason} while attempting the operation.";
    /// The range runs backwards or is half given.
    BadRequest SecurityGroupInvalidPortRange = "For TCP/UDP protocols, port_range_min must be <= port_range_max";
    /// The protocol has no ports.
    BadRequest SecurityGroupInvalidProtocolForPort { protocol: u8, valid_port_protocols: &'static str } =
        "Ports cannot be specified for protocol {protocol}. Ports are only supported for {valid_port_protocols}.";
    /// No such port.
    BadRequest SecurityGroupInvalidPortValue { port: String } = "Invalid value for port {port}";
    /// No such ICMP type or code.
    BadRequest SecurityGroupInvalidIcmpValue { field: &'static str, attr: &'static str, value: u16 } =
        "Invalid value for ICMP {field} ({attr}) {value}. It must be 0 to 255.";
    /// An ICMP code without its type.
    BadRequest SecurityGroupMissingIcmpType { value: u16 } =
        "ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing.";
    /// An IPv6 extension header in an IPv4 rule.
    BadRequest SecurityGroupEthertypeConflictWithProtocol { ethertype: String, protocol: String } =
        "Invalid ethertype {ethertype} for protocol {protocol}.";
    /// No such protocol.
    BadRequest SecurityGroupRuleInvalidProtocol { protocol: String, values: String } =
        "Security group rule protocol {protocol} not supported. Only protocol values {values} and integer representations [0 to 255] are supported.";
    /// No such ethertype.
    BadRequest SecurityGroupRuleInvalidEtherType { ethertype: String, values: &'static str } =
        "Security group rule for ethertype '{ethertype}' not supported. Allowed values are {values}.";
    /// A prefix, a group and an address group exclude each other.
    BadRequest SecurityGroupMultipleRemoteEntites =
        "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.";
    /// Ports of which protocol?
    BadRequest SecurityGroupProtocolRequiredWithPorts = "Must also specify protocol if port range is given.";
    /// Rules of one request belong to one group.
    BadRequest SecurityGroupNotSingleGroupRules = "Only allowed to update rules for one security profile at a time";
    /// Rules of one request belong to one project.
    BadRequest SecurityGroupRulesNotSingleProject = "Multiple project_ids in bulk security group rule create not allowed";
    /// The same rule twice in one request.
    InUse DuplicateSecurityGroupRuleInPost = "Duplicate Security Group Rule in POST.";
    /// The group has this rule.
    InUse SecurityGroupRuleExists { rule_id: SecurityGroupRuleId } = "Security group rule already exists. Rule id is {rule_id}.";
    /// The prefix is of the other IP version.
    BadRequest SecurityGroupRuleParameterConflict { ethertype: String, cidr: String } =
        "Conflicting value ethertype {ethertype} for CIDR {cidr}";
    /// Not a prefix.
    BadRequest InvalidCIDR { input: String } = "Invalid CIDR {input} given as IP prefix.";

    /// No such address group, or not for this caller.
    NotFound AddressGroupNotFound { address_group_id: String } = "Address group {address_group_id} could not be found.";
    /// Rules refer to the address group.
    InUse AddressGroupInUse { address_group_id: Uuid } =
        "Address group {address_group_id} is in use on one or more security group rules.";
    /// The address group has none of these.
    NotFound AddressesNotFound { addresses: String, address_group_id: Uuid } =
        "Addresses {addresses} not found in the address group {address_group_id}.";
    /// The address group has these already.
    BadRequest AddressesAlreadyExist { addresses: String, address_group_id: Uuid } =
        "Addresses {addresses} already exist in the address group {address_group_id}.";
    /// No such rule of new groups.
    NotFound DefaultSecurityGroupRuleNotFound { id: Uuid } = "Default Security Group rule {id} does not exist";
    /// New groups of that sort have the rule already.
    InUse DefaultSecurityGroupRuleExists { rule_id: Uuid } = "Default Security group rule already exists. Rule id is {rule_id}.";
    /// No such setting.
    NotFound SecurityGroupDefaultStatefulnessNotFound { id: Uuid } = "Security group default statefulness {id} could not be found.";
    /// The project has its setting.
    Conflict SecurityGroupDefaultStatefulnessAlreadyExists { project_id: String } =
        "A security group default statefulness setting already exists for project '{project_id}'.";

    // --- routers
    /// No such router, or not for this caller.
    NotFound RouterNotFound { router_id: RouterId } = "Router {router_id} could not be found";
    /// The router still has interfaces.
    InUse RouterInUse { router_id: RouterId, reason: String } = "Router {router_id} {reason}";
    /// The router has no such interface.
    NotFound RouterInterfaceNotFound { router_id: RouterId, port_id: PortId } =
        "Router {router_id} does not have an interface with id {port_id}";
    /// The router has no interface on the subnet.
    NotFound RouterInterfaceNotFoundForSubnet { router_id: RouterId, subnet_id: SubnetId } =
        "Router {router_id} has no interface on subnet {subnet_id}";
    /// The interface has another subnet than the request says.
    BadRequest SubnetMismatchForPort { port_id: PortId, subnet_id: SubnetId } =
        "Subnet on port {port_id} does not match the requested subnet {subnet_id}.";
    /// A floating IP leads to the interface's subnet.
    InUse RouterInterfaceInUseByFloatingIP { router_id: RouterId, subnet_id: SubnetId } =
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or more floating IPs.";
    /// An extra route leads through the interface's subnet.
    InUse RouterInterfaceInUseByRoute { router_id: RouterId, subnet_id: SubnetId } =
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or more routes.";
    /// A floating IP comes in by the gateway.
    InUse RouterExternalGatewayInUseByFloatingIp { router_id: RouterId, net_id: NetworkId } =
        "Gateway cannot be updated for router {router_id}, since a gateway to external network {net_id} is required by one or more floating IPs.";
    /// A gateway that a request names cannot be told from the others, or is not there. (Neutron answers these two with 500.)
    BadRequest UnableToMatchGateways { router_id: RouterId, reason: String } =
        "Unable to match a requested gateway port to existing gateway ports for router {router_id}: {reason}";
    /// There are no gateways to be removed.
    BadRequest UnableToRemoveGateways { router_id: RouterId, reason: &'static str } =
        "Unable to remove extra gateways from a router {router_id}: {reason}";
    /// An extra route that cannot work.
    BadRequest InvalidRoutes { routes: String, reason: &'static str } = "Invalid format for routes: {routes}, {reason}";
    /// The external network has no address for the gateway or floating IP.
    BadRequest ExternalIpAddressExhausted { net_id: NetworkId } = "Unable to find any IP address on external network {net_id}.";

    // --- floating IPs
    /// No such floating IP, or not for this caller.
    NotFound FloatingIPNotFound { floatingip_id: FloatingIpId } = "Floating IP {floatingip_id} could not be found";
    /// No router leads from the port's subnet to the external network.
    NotFound ExternalGatewayForFloatingIPNotFound { external_network_id: NetworkId, subnet_id: SubnetId, port_id: PortId } =
        "External network {external_network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate Port {port_id} with a Floating IP.";
    /// The fixed address has a floating IP of that network.
    InUse FloatingIPPortAlreadyAssociated { floating_ip_address: IpAddr, fip_id: FloatingIpId, port_id: PortId, fixed_ip: IpAddr, net_id: NetworkId } =
        "Cannot associate floating IP {floating_ip_address} ({fip_id}) with port {port_id} using fixed IP {fixed_ip}, as that fixed IP already has a floating IP on external network {net_id}.";
    /// The port has a floating IP that the caller may not take away.
    InUse FipAssociated { port_id: PortId } =
        "Unable to complete the operation on port {port_id} because the port still has an associated floating IP.";

    // --- quality of service
    /// No such policy, or not for this caller.
    NotFound QosPolicyNotFound { policy_id: Uuid } = "QoS policy {policy_id} could not be found.";
    /// No such rule in the policy.
    NotFound QosRuleNotFound { rule_id: Uuid, policy_id: Uuid } = "QoS rule {rule_id} for policy {policy_id} could not be found.";
    /// A project has one default policy.
    Conflict QoSPolicyDefaultAlreadyExists { project_id: String } = "A default QoS policy exists for project {project_id}.";
    /// Something has the policy.
    InUse QosPolicyInUse { policy_id: Uuid, object_type: &'static str, object_id: Uuid } =
        "QoS Policy {policy_id} is used by {object_type} {object_id}.";
    /// What the port is plugged into knows no such rules.
    Conflict QosRuleNotSupported { rule_type: &'static str, port_id: Uuid } = "Rule {rule_type} is not supported by port {port_id}";
    /// A limit below a guarantee, or the like.
    Conflict QoSRuleParameterConflict { rule_value: String, policy_id: Uuid, existing_rule: &'static str, existing_value: String } =
        "Unable to add the rule with value {rule_value} to the policy {policy_id} as the existing rule of type {existing_rule} has value {existing_value}.";
    /// The policy has such a rule already.
    Conflict QoSRulesConflict { new_rule_type: &'static str, rule_id: Uuid, policy_id: Uuid } =
        "Rule {new_rule_type} conflicts with rule {rule_id} which already exists in QoS Policy {policy_id}.";

    // --- metering
    /// A rule that names both kinds of prefixes, or none.
    BadRequest Invalid { reason: &'static str } = "{reason}";
    /// No such rule of a label.
    NotFound MeteringLabelRuleNotFound { rule_id: Uuid } = "Metering label rule '{rule_id}' does not exist.";
    /// Another rule of the label counts some of the same traffic.
    Conflict MeteringLabelRuleOverlaps { remote_ip_prefix: String } =
        "Metering label rule with remote_ip_prefix '{remote_ip_prefix}' overlaps another.";

    // --- trunks and bindings
    /// No such trunk, or not for this caller.
    NotFound TrunkNotFound { trunk_id: TrunkId } = "Trunk {trunk_id} could not be found.";
    /// The port is not in the trunk.
    NotFound SubPortNotFound { trunk_id: TrunkId, port_id: PortId } = "SubPort {port_id} on trunk {trunk_id} could not be found.";
    /// The port is in a trunk.
    InUse TrunkPortInUse { port_id: PortId } = "Port {port_id} is in use by another trunk.";
    /// The port is a parent, or plugged in.
    InUse ParentPortInUse { port_id: PortId } =
        "Port {port_id} is currently in use and is not eligible for use as a parent port.";
    /// The tag is another subport's.
    InUse DuplicateSubPort { segmentation_type: &'static str, segmentation_id: u16, trunk_id: TrunkId } =
        "segmentation_type {segmentation_type} and segmentation_id {segmentation_id} already in use on trunk {trunk_id}.";
    /// The parent could not carry the subport's packets.
    Conflict SubPortMtuGreaterThanTrunkPortMtu { port_mtu: u32, port_id: PortId, trunk_mtu: u32, trunk_id: PortId } =
        "MTU {port_mtu} of subport {port_id} cannot be greater than MTU {trunk_mtu} of trunk {trunk_id}.";
    /// The port is a trunk's parent.
    InUse PortInUseAsTrunkParent { port_id: PortId, trunk_id: TrunkId } =
        "Port {port_id} is currently a parent port for trunk {trunk_id}.";
    /// The port is in a trunk.
    InUse PortInUseAsSubPort { port_id: PortId, trunk_id: TrunkId } =
        "Port {port_id} is currently a subport for trunk {trunk_id}.";
    /// The trunk's parent is plugged in.
    InUse TrunkInUse { trunk_id: TrunkId } = "Trunk {trunk_id} is currently in use.";
    /// The trunk is switched off.
    Conflict TrunkDisabled { trunk_id: TrunkId } = "Trunk {trunk_id} is currently disabled.";
    /// A host could not realise the trunk.
    Conflict TrunkInErrorState { trunk_id: TrunkId } =
        "Trunk {trunk_id} is in error state. Attempt to resolve the error condition before proceeding.";
    /// The port has no binding for the host.
    NotFound PortBindingNotFound { port_id: PortId, host: String } =
        "Binding for port {port_id} for host {host} could not be found.";
    /// The binding is in use already.
    Conflict PortBindingAlreadyActive { port_id: PortId, host: String } =
        "Binding for port {port_id} on host {host} is already active.";
    /// The port has a binding for the host.
    Conflict PortBindingAlreadyExists { port_id: PortId, host: String } =
        "Binding for port {port_id} on host {host} already exists.";
    /// The host cannot take the port.
    Conflict PortBindingError { port_id: PortId, host: String } =
        "Binding for port {port_id} on host {host} could not be created or updated.";
    /// It contradicts what is there, in words.
    Conflict Conflict { msg: String } = "{msg}";
}

impl ModelError {
    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        self.fault().status()
    }

    pub(crate) fn invalid(error_message: impl Into<String>) -> Self {
        Self::InvalidInput { error_message: error_message.into() }
    }

    pub(crate) fn bad(resource: &'static str, msg: impl Into<String>) -> Self {
        Self::BadRequest { resource, msg: msg.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_status_and_text_are_neutrons() {
        let net_id: NetworkId = "5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f".parse().unwrap();
        let full = ModelError::IpAddressGenerationFailure { net_id };
        assert_eq!((full.type_name(), full.status()), ("IpAddressGenerationFailure", 409));
        assert_eq!(full.to_string(), "No more IP addresses available on network 5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f.");
        assert_eq!(ModelError::NoNetworkAvailable.status(), 503);
        assert_eq!(ModelError::NetworkNotFound { net_id }.status(), 404);
        assert_eq!(ModelError::SecurityGroupCannotRemoveDefault.status(), 409);
        assert_eq!(ModelError::bad("router", "no").to_string(), "Bad router request: no.");
        assert_eq!(ModelError::invalid("no").to_string(), "Invalid input for operation: no.");
    }
}
