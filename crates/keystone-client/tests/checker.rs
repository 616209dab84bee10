//! The rules of checking, caching and trying again, held against a small Keystone that speaks the protocol. The clock stands
//! until it is moved.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the configured allowance covers only functions marked as tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use keystone_client::testing::FakeKeystone;
use keystone_client::{
    CheckError, Checked, CheckerConfig, Clock, KeystoneError, Presented, Scope, Secret, TokenChecker,
};
use serde_json::json;

struct World {
    keystone: FakeKeystone,
    checker: Arc<TokenChecker>,
    seconds: Arc<AtomicI64>,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut CheckerConfig)) -> Self {
        let seconds = Arc::new(AtomicI64::new(1_800_000_000));
        let hand = Arc::clone(&seconds);
        let clock: Clock = Arc::new(move || Timestamp::from_second(hand.load(Ordering::SeqCst)).unwrap());
        let keystone = FakeKeystone::start(Arc::clone(&clock)).await;
        let mut config = keystone.config();
        change(&mut config);
        let checker = Arc::new(TokenChecker::with_clock(config, clock).unwrap());
        Self { keystone, checker, seconds }
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn check(&self, token: &str) -> Result<Checked, CheckError> {
        self.checker.check(presented(token, None)).await
    }

    async fn with_service(&self, token: &str, service: &str) -> Result<Checked, CheckError> {
        self.checker.check(presented(token, Some(service))).await
    }

    fn asked(&self) -> usize {
        self.keystone.validations().len()
    }
}

fn presented<'a>(token: &'a str, service_token: Option<&'a str>) -> Presented<'a> {
    Presented { token, service_token, method: "GET", path: "/v2.0/networks" }
}

#[track_caller]
fn refused(outcome: Result<Checked, CheckError>) {
    assert!(matches!(outcome, Err(CheckError::Invalid)), "{outcome:?}");
}

#[track_caller]
fn away(outcome: Result<Checked, CheckError>) -> KeystoneError {
    match outcome {
        Err(CheckError::Unavailable(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_token_is_described_and_shown_to_keystone_once() {
    let world = World::new().await;
    world.keystone.add_token("t", 3600, json!({"project": {"id": "p"}, "roles": [{"name": "member"}]}));
    for _ in 0..3 {
        let user = world.check(" t ").await.unwrap().user;
        assert_eq!(
            (user.scope.clone(), user.roles.as_slice()),
            (Scope::Project("p".into()), ["member".into()].as_slice())
        );
    }
    let asked = world.keystone.validations();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].what, "GET /v3/auth/tokens?nocatalog");
    assert_eq!(asked[0].subject.as_deref(), Some("t"));
    assert_eq!(world.keystone.signed_in(), 1);
}

#[tokio::test]
async fn a_revocation_is_noticed_when_the_cache_time_is_over() {
    let world = World::with(|config| config.cache_seconds = 60).await;
    world.keystone.add_token("t", 3600, json!({}));
    world.check("t").await.unwrap();
    world.keystone.revoke("t");
    world.pass(59);
    world.check("t").await.unwrap();
    world.pass(1);
    refused(world.check("t").await);
}

#[tokio::test]
async fn an_unknown_token_is_refused_and_not_asked_about_again_at_once() {
    let world = World::with(|config| config.negative_cache_seconds = 5).await;
    for _ in 0..3 {
        refused(world.check("t").await);
    }
    assert_eq!(world.asked(), 1);
    world.keystone.add_token("t", 3600, json!({}));
    world.pass(5);
    world.check("t").await.unwrap();
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused_without_asking() {
    let world = World::new().await;
    refused(world.check("  ").await);
    refused(world.check("a\nb").await);
    refused(world.check(&"x".repeat(20_000)).await);
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn an_expired_token_is_refused_even_if_the_cache_holds_it() {
    let world = World::with(|config| config.cache_seconds = 300).await;
    world.keystone.add_token("t", 100, json!({}));
    world.check("t").await.unwrap();
    world.pass(100);
    refused(world.check("t").await);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_service_vouches_for_an_expired_token() {
    let world = World::new().await;
    world.keystone.add_token("t", 100, json!({}));
    world.keystone.add_token("nova", 3600, json!({"roles": [{"name": "service"}]}));
    world.pass(200);
    refused(world.check("t").await);
    let checked = world.with_service("t", "nova").await.unwrap();
    assert_eq!(checked.user.user_id, "user-of-t");
    assert_eq!(checked.service.unwrap().roles, ["service"]);
    // What it vouched for is not good without it.
    refused(world.check("t").await);
    let paths: Vec<String> = world.keystone.validations().into_iter().map(|asked| asked.what).collect();
    assert!(paths.contains(&"GET /v3/auth/tokens?nocatalog&allow_expired=1".to_owned()), "{paths:?}");
}

#[tokio::test]
async fn a_service_token_must_be_good_and_a_services() {
    let world = World::new().await;
    world.keystone.add_token("t", 3600, json!({}));
    world.keystone.add_token("member", 3600, json!({"roles": [{"name": "member"}]}));
    refused(world.with_service("t", "unknown").await);
    refused(world.with_service("t", "member").await);
    world.check("t").await.unwrap();
}

#[tokio::test]
async fn a_service_token_without_the_role_counts_where_none_is_required_but_vouches_for_nothing() {
    let world = World::with(|config| config.service_token_roles_required = false).await;
    world.keystone.add_token("t", 100, json!({}));
    world.keystone.add_token("member", 3600, json!({"roles": [{"name": "member"}]}));
    assert_eq!(world.with_service("t", "member").await.unwrap().service.unwrap().roles, ["member"]);
    world.pass(200);
    refused(world.with_service("t", "member").await);
}

#[tokio::test]
async fn a_restricted_token_may_do_only_what_its_rules_say() {
    let world = World::new().await;
    let rules = |path: &str| json!({"application_credential": {"access_rules": [{"service": "network", "method": "GET", "path": path}]}});
    world.keystone.add_token("networks", 3600, rules("/v2.0/networks"));
    world.keystone.add_token("ports", 3600, rules("/v2.0/ports"));
    world.keystone.add_token("nova", 3600, json!({"roles": [{"name": "service"}]}));
    world.check("networks").await.unwrap();
    refused(world.check("ports").await);
    world.with_service("ports", "nova").await.unwrap();
}

#[tokio::test]
async fn one_validation_is_made_for_all_who_wait_for_it() {
    let world = World::new().await;
    world.keystone.add_token("t", 3600, json!({}));
    world.keystone.hold();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let checker = Arc::clone(&world.checker);
            tokio::spawn(async move { checker.check(presented("t", None)).await })
        })
        .collect();
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    world.keystone.let_go();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn who_asked_may_go_away_without_harm_to_those_who_wait() {
    let world = World::new().await;
    world.keystone.add_token("t", 3600, json!({}));
    world.keystone.hold();
    let ask = |checker: &Arc<TokenChecker>| {
        let checker = Arc::clone(checker);
        tokio::spawn(async move { checker.check(presented("t", None)).await })
    };
    let first = ask(&world.checker);
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    let second = ask(&world.checker);
    first.abort();
    assert!(first.await.is_err());
    world.keystone.let_go();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn our_own_token_is_renewed_before_it_expires() {
    let world = World::with(|config| config.cache_seconds = 0).await;
    world.keystone.add_token("t", 100_000, json!({}));
    world.keystone.set_own_lifetime(1000);
    world.check("t").await.unwrap();
    world.pass(870);
    world.check("t").await.unwrap();
    assert_eq!(world.keystone.signed_in(), 1);
    world.pass(20);
    world.check("t").await.unwrap();
    assert_eq!(world.keystone.signed_in(), 2);
}

#[tokio::test]
async fn our_own_token_is_renewed_when_keystone_does_not_take_it() {
    let world = World::with(|config| config.cache_seconds = 0).await;
    world.keystone.add_token("t", 3600, json!({}));
    world.check("t").await.unwrap();
    world.keystone.forget_own_tokens();
    world.check("t").await.unwrap();
    assert_eq!((world.keystone.signed_in(), world.asked()), (2, 3));
}

#[tokio::test]
async fn a_wrong_password_of_ours_lets_nobody_in_and_is_not_shown() {
    let world = World::with(|config| config.account.password = Some(Secret::new("hunter2"))).await;
    world.keystone.add_token("t", 3600, json!({}));
    let error = away(world.check("t").await);
    assert!(matches!(&error, KeystoneError::SignIn { user, status: 401, .. } if user == "neutron"), "{error}");
    assert!(!format!("{error} {error:?} {:?}", world.checker).contains("hunter2"));
}

#[tokio::test]
async fn those_who_wait_for_our_signing_in_share_its_failure() {
    let world = World::new().await;
    world.keystone.hold_sign_in();
    let waiting: Vec<_> = (0..10)
        .map(|number| {
            let checker = Arc::clone(&world.checker);
            tokio::spawn(async move { checker.check(presented(&number.to_string(), None)).await })
        })
        .collect();
    while world.keystone.tries() == 0 {
        tokio::task::yield_now().await;
    }
    world.keystone.break_with(Some(503));
    world.keystone.let_sign_in();
    for one in waiting {
        away(one.await.unwrap());
    }
    assert_eq!(world.keystone.tries(), 1);
    // Whoever comes later tries again.
    world.keystone.break_with(None);
    refused(world.check("later").await);
}

#[tokio::test]
async fn while_keystone_is_away_only_known_tokens_are_good() {
    let world = World::with(|config| config.cache_seconds = 60).await;
    world.keystone.add_token("known", 3600, json!({}));
    world.keystone.add_token("new", 3600, json!({}));
    world.check("known").await.unwrap();
    world.keystone.go_away().await;
    world.check("known").await.unwrap();
    assert!(matches!(away(world.check("new").await), KeystoneError::Unreachable { .. }));
    world.pass(60);
    away(world.check("known").await);
    world.keystone.come_back().await;
    world.check("new").await.unwrap();
    world.check("known").await.unwrap();
}

#[tokio::test]
async fn a_keystone_in_trouble_is_not_taken_for_a_refusal() {
    let world = World::new().await;
    world.keystone.add_token("t", 3600, json!({}));
    world.check("t").await.unwrap();
    for status in [400, 403, 429, 500, 503] {
        world.keystone.break_with(Some(status));
        away(world.check("other").await);
    }
    world.keystone.break_with(None);
    refused(world.check("other").await);
}

#[tokio::test]
async fn a_keystone_that_does_not_answer_is_not_waited_for_without_end() {
    let world = World::with(|config| config.account.http_request_timeout = 1).await;
    world.keystone.add_token("t", 3600, json!({}));
    world.keystone.hold();
    away(world.check("t").await);
    world.keystone.let_go();
    // However busy the machine is, in the end it answers in time.
    while world.check("t").await.is_err() {}
}

#[tokio::test]
async fn keystone_is_asked_at_the_endpoint_of_interface_and_region() {
    let world = World::with(|config| {
        config.account.region_name = Some("Two".into());
        config.cache_seconds = 0;
    })
    .await;
    world.keystone.add_token("t", 3600, json!({}));
    let endpoint = |region: &str, url: &str| json!({"interface": "internal", "region_id": region, "url": url});
    let own = world.keystone.url.clone();
    world.keystone.set_catalog(json!([{"type": "identity", "endpoints": [
        endpoint("One", "http://127.0.0.1:1"), endpoint("Two", &own),
    ]}]));
    world.check("t").await.unwrap();
}
