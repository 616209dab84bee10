//! One request after the other: the model says what is due.

use super::clients::{Call, Known, addresses, string};
use super::rules::Model;
use super::{CLIENTS, Request, request, server};
use crate::server::{ADMIN, Server};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

async fn list(server: &Server, collection: &str) -> Vec<Value> {
    let body = server.get(ADMIN, &format!("/v2.0/{collection}")).await.expect(200);
    body[collection].as_array().unwrap().clone()
}

fn ids<'a>(objects: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    objects.into_iter().map(|object| string(object, "id")).collect()
}

/// What the server shows is what the model has.
async fn compare(server: &Server, model: &Model) {
    assert_eq!(ids(&list(server, "networks").await), model.networks.keys().cloned().collect());
    assert_eq!(ids(&list(server, "subnets").await), model.subnets.keys().cloned().collect());
    assert_eq!(ids(&list(server, "routers").await), model.routers.keys().cloned().collect());
    let ports = list(server, "ports").await;
    assert_eq!(ids(&ports), model.ports.keys().cloned().collect());
    for port in &ports {
        let expected = &model.ports[&string(port, "id")];
        assert_eq!(addresses(port).into_iter().collect::<BTreeSet<_>>(), expected.addresses);
        assert_eq!(string(port, "network_id"), expected.network);
    }
}

async fn play(requests: &[(usize, Request)]) {
    let server = server().await;
    let (mut model, mut known) = (Model::default(), Known::default());
    for (client, request) in requests {
        let (token, project) = CLIENTS[*client];
        let call = Call::new(*request, &known);
        let due = model.refusals(*request, &call, project);
        let answer = call.send(&server, token).await;
        let context = format!("{project}: {} {} {}: {}", call.method, call.path, call.body, answer.text);
        if !(200..300).contains(&answer.status) {
            assert!(due.contains(&answer.status), "{} instead of {due:?}: {context}", answer.status);
            continue;
        }
        assert!(due.is_empty(), "{due:?} was due: {context}");
        known.learn(*request, &answer);
        model.apply(*request, &call, project, &answer.body);
    }
    compare(&server, &model).await;
}

#[test]
fn every_answer_is_the_models() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let requests = proptest::collection::vec((0..CLIENTS.len(), request()), 60..120);
    proptest!(ProptestConfig::with_cases(24), |(requests in requests)| {
        runtime.block_on(play(&requests));
    });
}
