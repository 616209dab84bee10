//! What can be shared with other projects: one line each. The other line is the attribute `shared` of its declaration.

/// The action that lets a project see and use an object.
pub const SHARED: &str = "access_as_shared";
/// The action that lets a project take gateways and floating IPs on a network.
pub const EXTERNAL: &str = "access_as_external";
/// The target that means every project.
pub const EVERYBODY: &str = "*";

/// A kind of objects.
#[derive(Debug, Clone, Copy)]
pub struct Shareable {
    /// `object_type` of its entries.
    pub object_type: &'static str,
    /// The table, with `id` and `project_id`.
    pub table: &'static str,
    /// What entries may allow, and for each an SQL query for the projects that make use of it: `?1` is the object. An entry
    /// without which one of them could not is not removed.
    pub actions: &'static [(&'static str, &'static str)],
    /// An SQL query for what an object stands in (`?1`): who shall use the one must be able to use the other.
    pub stands_in: Option<StandsIn>,
}

/// See [`Shareable::stands_in`].
#[derive(Debug, Clone, Copy)]
pub struct StandsIn {
    /// In words: "address scope".
    pub name: &'static str,
    /// The query for its id.
    pub sql: &'static str,
}

/// All of them.
pub const ALL: &[Shareable] = &[
    Shareable {
        object_type: "network",
        table: "networks",
        actions: &[
            (SHARED, "SELECT DISTINCT project_id FROM ports WHERE network_id = ?1 AND project_id <> ''"),
            (
                EXTERNAL,
                "SELECT DISTINCT routers.project_id FROM ports JOIN router_gateways ON router_gateways.port_id = ports.id
                     JOIN routers ON routers.id = router_gateways.router_id
                 WHERE ports.network_id = ?1",
            ),
        ],
        stands_in: None,
    },
    Shareable {
        object_type: "security_group",
        table: "security_groups",
        actions: &[(
            SHARED,
            "SELECT DISTINCT ports.project_id FROM port_security_groups
                 JOIN ports ON ports.id = port_security_groups.port_id
             WHERE port_security_groups.security_group_id = ?1",
        )],
        stands_in: None,
    },
    Shareable {
        object_type: "address_scope",
        table: "address_scopes",
        actions: &[(SHARED, "SELECT DISTINCT project_id FROM subnetpools WHERE address_scope_id = ?1")],
        stands_in: None,
    },
    Shareable {
        object_type: "subnetpool",
        table: "subnetpools",
        actions: &[(SHARED, "SELECT DISTINCT project_id FROM subnets WHERE subnetpool_id = ?1")],
        stands_in: Some(StandsIn {
            name: "address scope",
            sql: "SELECT address_scope_id FROM subnetpools WHERE id = ?1 AND address_scope_id IS NOT NULL",
        }),
    },
    Shareable {
        object_type: "qos_policy",
        table: "qos_policies",
        stands_in: None,
        actions: &[(
            SHARED,
            "SELECT project_id FROM networks WHERE qos_policy_id = ?1 UNION SELECT project_id FROM ports WHERE qos_policy_id = ?1
             UNION SELECT project_id FROM floating_ips WHERE qos_policy_id = ?1
             UNION SELECT project_id FROM routers WHERE gateway_qos_policy_id = ?1",
        )],
    },
    Shareable {
        object_type: "address_group",
        table: "address_groups",
        stands_in: None,
        actions: &[(SHARED, "SELECT DISTINCT project_id FROM security_group_rules WHERE remote_address_group_id = ?1")],
    },
];

/// The kind of this `object_type`.
pub fn find(object_type: &str) -> Option<&'static Shareable> {
    ALL.iter().find(|kind| kind.object_type == object_type)
}

impl Shareable {
    /// The query for the projects that use an object by this action; `None`: there is no such action.
    pub fn users(&self, action: &str) -> Option<&'static str> {
        self.actions.iter().find(|(name, _)| *name == action).map(|(_, users)| *users)
    }
}
