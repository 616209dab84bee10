//! Security groups and their rules.

use super::{BeforeList, Rules, done, typed};
use api_schema::resources;
use network_store::{security_group, security_group_rule};

const DEFAULT_GROUP: BeforeList = BeforeList {
    policy: "create_default_security_group",
    there: |snapshot, project| Ok(security_group::default_of(snapshot, project)?.is_some()),
    make: |work, project| done(security_group::ensure_default(work, project).map(drop)),
};

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(security_group::create(work, &typed("security_group", values)?)?.0)),
        update: Some(|work, id, values| {
            done(security_group::update(work, id.into(), typed("security_group", values)?))
        }),
        delete: Some(|work, id| done(security_group::delete(work, id.into()))),
        before_list: Some(DEFAULT_GROUP),
        ..Rules::of(&resources::SECURITY_GROUP)
    },
    Rules {
        create_together: Some(|work, several| {
            let requests = several.into_iter().map(|values| typed("security_group_rule", values));
            let ids = security_group_rule::create(work, requests.collect::<Result<_, _>>()?)?;
            Ok(ids.into_iter().map(|id| id.0).collect())
        }),
        delete: Some(|work, id| done(security_group_rule::delete(work, id.into()))),
        before_list: Some(DEFAULT_GROUP),
        ..Rules::of(&resources::SECURITY_GROUP_RULE)
    },
];
