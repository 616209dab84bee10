//! Trunks: which tag of the parent a subport may have.

use crate::ModelError;
use net_types::PortId;

/// `device_owner` of a subport that is bound with its trunk.
pub const SUBPORT_OWNER: &str = "trunk:subport";
/// Stands for the tag that the subport's own network has.
pub const INHERIT: &str = "inherit";
/// The only type that hosts can tell apart.
const VLAN: &str = "vlan";

/// How a subport's frames are marked on the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The VLAN id.
    pub id: u16,
}

impl Tag {
    /// `segmentation_type`.
    pub fn kind(self) -> &'static str {
        VLAN
    }

    /// A tag of this type and number, if hosts can use it.
    pub fn new(kind: &str, id: Option<i64>) -> Result<Self, ModelError> {
        if kind != VLAN {
            return Err(ModelError::invalid(format!("Unknown segmentation_type '{kind}'")));
        }
        let id = id.unwrap_or_default();
        match u16::try_from(id).ok().filter(|id| (1..=4094).contains(id)) {
            Some(id) => Ok(Self { id }),
            None => Err(ModelError::invalid(format!("Segmentation ID '{id}' is not in range"))),
        }
    }

    /// The tag that a request says, as texts.
    pub fn read(port_id: PortId, kind: Option<&str>, id: Option<&str>) -> Result<Self, ModelError> {
        let (Some(kind), Some(id)) = (kind, id) else {
            return Err(ModelError::invalid(format!(
                "Invalid subport details '{{'port_id': '{port_id}'}}': missing segmentation information. Must specify both segmentation_id and segmentation_type"
            )));
        };
        let number = id.trim().parse().map_err(|_| {
            ModelError::invalid(format!("Invalid subport details: segmentation_id '{id}' is not an integer"))
        })?;
        Self::new(kind, Some(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_vlans() {
        let read = |kind, id| Tag::read(PortId(uuid::Uuid::nil()), Some(kind), id);
        assert_eq!(read("vlan", Some("4094")), Ok(Tag { id: 4094 }));
        let words = |kind, id| read(kind, id).unwrap_err().to_string();
        assert!(words("vlan", Some("0")).contains("Segmentation ID '0' is not in range"));
        assert!(words("vlan", Some("4095")).contains("is not in range"));
        assert!(words("vxlan", Some("5")).contains("Unknown segmentation_type 'vxlan'"));
        assert!(words("vlan", Some("x")).contains("segmentation_id 'x' is not an integer"));
        assert!(words("inherit", None).contains("missing segmentation information"));
    }
}
