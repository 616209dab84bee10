//! Flavors, service profiles and providers, and routers of a flavor.

use crate::server::{ADMIN, DEMO, Server, id};
use serde_json::{Value, json};

const DRIVERS: &str = "neutron.services.l3_router.service_providers.";

async fn flavor(server: &Server, driver: &str) -> (Value, Value) {
    let profile = server.create(ADMIN, "service_profile", json!({"driver": format!("{DRIVERS}{driver}")})).await;
    let flavor = server.create(ADMIN, "flavor", json!({"name": driver, "service_type": "L3_ROUTER_NAT"})).await;
    let path = format!("/v2.0/flavors/{}/service_profiles", id(&flavor));
    server.post(ADMIN, &path, json!({"service_profile": {"id": id(&profile)}})).await.expect(201);
    (flavor, profile)
}

#[tokio::test]
async fn a_flavor_decides_what_kind_a_router_can_be() {
    let server = Server::new();
    let (flavor, profile) = flavor(&server, "single_node.SingleNodeDriver").await;
    let shown = server.get(DEMO, &format!("/v2.0/flavors/{}", id(&flavor))).await.expect(200);
    assert_eq!(shown["flavor"]["service_profiles"], json!([profile["id"]]));
    let router = server.create(DEMO, "router", json!({"flavor_id": id(&flavor)})).await;
    assert_eq!(router["flavor_id"], flavor["id"]);
    let both = json!({"router": {"flavor_id": id(&flavor), "distributed": true}});
    assert_eq!(
        server.post(ADMIN, "/v2.0/routers", both).await.error(),
        "400 InvalidInput: Invalid input for operation: Provider single_node does not support distributed=True."
    );
    let path = format!("/v2.0/routers/{}", id(&router));
    let down = json!({"router": {"admin_state_up": false}});
    server.put(DEMO, &path, down).await.expect(200);
    let other = server.put(ADMIN, &path, json!({"router": {"ha": true}})).await;
    assert!(other.error().starts_with("400 InvalidInput: "), "{}", other.text);
    assert_eq!(
        server.delete(ADMIN, &format!("/v2.0/flavors/{}", id(&flavor))).await.error(),
        format!("409 FlavorInUse: Flavor {} is used by some service instance.", id(&flavor))
    );
    server.delete(DEMO, &path).await.expect(204);
    server.delete(ADMIN, &format!("/v2.0/flavors/{}", id(&flavor))).await.expect(204);
    server.delete(ADMIN, &format!("/v2.0/service_profiles/{}", id(&profile))).await.expect(204);
}

#[tokio::test]
async fn mistakes_are_told_in_neutrons_words() {
    let server = Server::new();
    let (flavor, profile) = flavor(&server, "ha.HaDriver").await;
    let bindings = format!("/v2.0/flavors/{}/service_profiles", id(&flavor));
    let profiles = "/v2.0/service_profiles";
    let again = server.post(ADMIN, &bindings, json!({"service_profile": {"id": id(&profile)}})).await;
    assert_eq!(
        again.error(),
        format!(
            "409 FlavorServiceProfileBindingExists: Service Profile {} is already associated with flavor {}.",
            id(&profile),
            id(&flavor)
        )
    );
    let cases = [
        (json!({"driver": "x"}), "404 ServiceProfileDriverNotFound: Service Profile driver x could not be found."),
        (json!({}), "400 ServiceProfileEmpty: Service Profile needs either a driver or metainfo."),
    ];
    for (body, expected) in cases {
        assert_eq!(server.post(ADMIN, profiles, json!({"service_profile": body})).await.error(), expected);
    }
    let wrong = json!({"flavor": {"service_type": "X"}});
    let wrong = server.post(ADMIN, "/v2.0/flavors", wrong).await;
    assert_eq!(wrong.error(), "400 InvalidServiceType: Invalid service type: X.");
    assert_eq!(server.post(DEMO, "/v2.0/flavors", json!({"flavor": {"service_type": "CORE"}})).await.status, 403);
    let held = format!("{profiles}/{}", id(&profile));
    assert!(server.delete(ADMIN, &held).await.error().starts_with("409 ServiceProfileInUse: "));
    server.delete(ADMIN, &format!("{bindings}/{}", id(&profile))).await.expect(204);
    let router = server.post(DEMO, "/v2.0/routers", json!({"router": {"flavor_id": id(&flavor)}})).await;
    assert!(router.error().starts_with("404 FlavorServiceProfileBindingNotFound: "));
    let unknown = server.post(DEMO, "/v2.0/routers", json!({"router": {"flavor_id": id(&profile)}})).await;
    assert!(unknown.error().starts_with("404 FlavorNotFound: "));
}

#[tokio::test]
async fn providers_are_the_kinds_of_routers() {
    let server = Server::new();
    let providers = server.get(DEMO, "/v2.0/service-providers").await.expect(200);
    let mut names: Vec<&str> = providers["service_providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|provider| {
            assert_eq!((&provider["service_type"], &provider["default"]), (&json!("L3_ROUTER_NAT"), &json!(false)));
            provider["name"].as_str().unwrap()
        })
        .collect();
    names.sort_unstable();
    let known = network_model::router::PROVIDERS.map(|provider| provider.name);
    assert!(names.len() == known.len() && known.iter().all(|name| names.contains(name)), "{names:?}");
    let default = server.get(DEMO, "/v2.0/service-providers?default=true").await.expect(200);
    assert_eq!(default["service_providers"], json!([]));
    let one = server.get(DEMO, "/v2.0/service-providers?name=dvr").await.expect(200);
    assert_eq!(one["service_providers"].as_array().unwrap().len(), 1);
}
