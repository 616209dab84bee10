//! Which segment a new network gets.
//!
//! The store keeps one row per segment in use, unique in (type, physical network, id). To find a free id it answers one
//! question, "the lowest used id at or above this one", from that index: the first gap is found by walking the run of used
//! ids from a starting point. The starting point is random (Neutron picks ids at random too), so that servers which share
//! a database do not all try the same id, and an id that has just been freed is not at once another project's.

use super::{IdRange, ProviderAttributes, Segment, SegmentTypes};
use crate::ModelError;
use net_types::NetworkType;

/// The segments in use, as the unit of work reads them.
pub trait UsedSegments {
    /// What can go wrong below (the store's error).
    type Error: From<ModelError>;

    /// Whether a network has this segment; of flat networks `id` is `None`.
    fn is_used(&mut self, kind: NetworkType, physnet: Option<&str>, id: Option<u32>) -> Result<bool, Self::Error>;

    /// The used ids from `first` to `last` in rising order, at most `limit` of them.
    fn used_ids(
        &mut self,
        kind: NetworkType,
        physnet: Option<&str>,
        range: (u32, u32),
        limit: usize,
    ) -> Result<Vec<u32>, Self::Error>;
}

/// Used ids read at a time while looking for a gap.
const PAGE: usize = 256;

impl SegmentTypes {
    /// The segment of a new network: the one that the provider attributes ask for, else the first one free of the types
    /// that projects get.
    ///
    /// `random` is where the search for a free id starts.
    pub fn choose<U: UsedSegments>(
        &self,
        asked: &ProviderAttributes,
        external: bool,
        random: u32,
        used: &mut U,
    ) -> Result<Segment, U::Error> {
        if asked.any() {
            let segment = self.validate(asked)?;
            return self.reserve(segment, random, used);
        }
        let types = match self.external.filter(|_| external) {
            Some(kind) => vec![kind],
            None => self.tenant.clone(),
        };
        for kind in types {
            if let Some(segment) = self.free_for_project(kind, random, used)? {
                return Ok(segment);
            }
        }
        Err(ModelError::NoNetworkAvailable.into())
    }

    /// The segment of a VLAN network whose id changes: the only provider attribute that may.
    pub fn change_vlan_id<U: UsedSegments>(
        &self,
        current: &Segment,
        segmentation_id: Option<u32>,
        used: &mut U,
    ) -> Result<Segment, U::Error> {
        if current.network_type != NetworkType::Vlan {
            return Err(ModelError::invalid("Only VLAN type networks can be updated.").into());
        }
        let Some(id) = segmentation_id.filter(|id| *id != 0) else {
            return Err(ModelError::invalid("Only segmentation_id field can be updated in VLAN type networks").into());
        };
        let asked = ProviderAttributes {
            network_type: Some(current.network_type.to_string()),
            physical_network: current.physical_network.clone(),
            segmentation_id: Some(id),
        };
        let segment = self.validate(&asked)?;
        if segment == *current { Ok(segment) } else { self.reserve(segment, 0, used) }
    }

    /// Fills in what the request left open, and refuses what is used.
    fn reserve<U: UsedSegments>(&self, segment: Segment, random: u32, used: &mut U) -> Result<Segment, U::Error> {
        let Segment { network_type: kind, physical_network, segmentation_id } = segment;
        let physnet = physical_network.as_deref();
        let is_used = match (kind, segmentation_id) {
            (NetworkType::Local, _) => false,
            (NetworkType::Flat, _) => used.is_used(kind, physnet, None)?,
            (_, Some(id)) => used.is_used(kind, physnet, Some(id))?,
            (NetworkType::Vlan, None) => {
                let free = self.free_vlan(physnet, random, used)?;
                return free.ok_or_else(|| ModelError::NoNetworkAvailable.into());
            }
            (_, None) => {
                let free = self.free_for_project(kind, random, used)?;
                return free.ok_or_else(|| ModelError::NoNetworkAvailable.into());
            }
        };
        if is_used {
            let physical_network = physical_network.unwrap_or_default();
            return Err(match (kind, segmentation_id) {
                (NetworkType::Vlan, Some(vlan_id)) => ModelError::VlanIdInUse { vlan_id, physical_network },
                (_, Some(tunnel_id)) => ModelError::TunnelIdInUse { tunnel_id },
                (_, None) => ModelError::FlatNetworkInUse { physical_network },
            }
            .into());
        }
        Ok(Segment { network_type: kind, physical_network, segmentation_id })
    }

    /// A free segment of a type; nothing when it has run out, or when projects do not get that type.
    fn free_for_project<U: UsedSegments>(
        &self,
        kind: NetworkType,
        random: u32,
        used: &mut U,
    ) -> Result<Option<Segment>, U::Error> {
        match kind {
            NetworkType::Local => {
                Ok(Some(Segment { network_type: kind, physical_network: None, segmentation_id: None }))
            }
            // Which physical network would it be? Only a request can say.
            NetworkType::Flat => Ok(None),
            NetworkType::Vlan => self.free_vlan(None, random, used),
            NetworkType::Vxlan | NetworkType::Gre | NetworkType::Geneve => {
                let id = free_id(kind, None, self.tunnel_ids(kind), random, used)?;
                Ok(id.map(|id| Segment { network_type: kind, physical_network: None, segmentation_id: Some(id) }))
            }
        }
    }

    /// A free VLAN of one physical network, or of the first one that has any.
    fn free_vlan<U: UsedSegments>(
        &self,
        only: Option<&str>,
        random: u32,
        used: &mut U,
    ) -> Result<Option<Segment>, U::Error> {
        for (name, ranges) in self.vlan.iter().filter(|(name, _)| only.is_none_or(|only| only == name)) {
            if let Some(id) = free_id(NetworkType::Vlan, Some(name), ranges, random, used)? {
                let physical_network = Some(name.clone());
                return Ok(Some(Segment {
                    network_type: NetworkType::Vlan,
                    physical_network,
                    segmentation_id: Some(id),
                }));
            }
        }
        Ok(None)
    }
}

/// A free id of the ranges: the first one from a random place on, going around once.
fn free_id<U: UsedSegments>(
    kind: NetworkType,
    physnet: Option<&str>,
    ranges: &[IdRange],
    random: u32,
    used: &mut U,
) -> Result<Option<u32>, U::Error> {
    let size = |range: &IdRange| u64::from(range.last()) - u64::from(range.first()) + 1;
    let all: u64 = ranges.iter().map(size).sum();
    if all == 0 {
        return Ok(None);
    }
    // The range, and the place in it, at which the search starts.
    let mut offset = u64::from(random) % all;
    let mut start = 0;
    for range in ranges {
        if offset < size(range) {
            break;
        }
        offset -= size(range);
        start += 1;
    }
    let from = |range: &IdRange| range.first() + u32::try_from(offset).unwrap_or(0);
    let upper = ranges.iter().skip(start).take(1).map(|range| (from(range), range.last()));
    let after = ranges.iter().skip(start + 1).chain(ranges.iter().take(start)).map(|r| (r.first(), r.last()));
    let lower = ranges.iter().skip(start).take(1).filter(|_| offset > 0).map(|range| (range.first(), from(range) - 1));
    for (first, last) in upper.chain(after).chain(lower) {
        if let Some(id) = first_gap(kind, physnet, first, last, used)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The lowest free id from `first` to `last`.
fn first_gap<U: UsedSegments>(
    kind: NetworkType,
    physnet: Option<&str>,
    first: u32,
    last: u32,
    used: &mut U,
) -> Result<Option<u32>, U::Error> {
    let mut candidate = first;
    loop {
        let page = used.used_ids(kind, physnet, (candidate, last), PAGE)?;
        let full = page.len() >= PAGE;
        for id in page {
            if id != candidate {
                return Ok(Some(candidate));
            }
            match candidate.checked_add(1).filter(|next| *next <= last) {
                Some(next) => candidate = next,
                None => return Ok(None),
            }
        }
        if !full {
            return Ok(Some(candidate));
        }
    }
}
