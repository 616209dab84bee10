//! What Nova's answer means for the events that it was told. Pure.
//!
//! Nova answers 200 when it takes all of them, 207 with a code for each when some are not for it (an instance that it does
//! not know, or that is on no host yet), and refuses a batch of which it takes none. None of that would be otherwise a
//! second time; only trouble with Nova or our rights may pass.

use keystone_client::Answer;
use network_store::nova::NovaEvent;
use serde_json::Value;

/// What becomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nova has answered; these of the batch it did not take, each with its code.
    Settled(Vec<(usize, u64)>),
    /// One of them is unacceptable: a smaller batch tells which.
    Smaller,
    /// Later: Nova is in trouble, or does not accept us.
    Later(String),
}

/// The verdict on `events`.
pub fn verdict(answer: &Answer, events: &[NovaEvent]) -> Verdict {
    let all = |code: u16| Verdict::Settled((0..events.len()).map(|index| (index, code.into())).collect());
    match answer.status {
        200..300 => Verdict::Settled(refused(&answer.json(), events)),
        // None of the instances is known.
        404 => all(404),
        400 | 413 | 422 if events.len() > 1 => Verdict::Smaller,
        status @ (400 | 413 | 422) => all(status),
        status => Verdict::Later(format!("Nova answered {status}: {}", answer.message())),
    }
}

/// Which of the events have another code than 200 in `{"events": [{..., "code": 404}]}`.
fn refused(body: &Value, events: &[NovaEvent]) -> Vec<(usize, u64)> {
    let told = body.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code_of = |event: &NovaEvent| {
        let same = |entry: &&Value| {
            text(entry, "server_uuid") == event.server_id
                && text(entry, "name") == event.name
                && text(entry, "tag") == event.port_id
        };
        told.iter().find(same).and_then(|entry| entry.get("code")?.as_u64())
    };
    let codes = events.iter().enumerate().filter_map(|(index, event)| Some((index, code_of(event)?)));
    codes.filter(|(_, code)| *code != 200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status, headers: hyper::HeaderMap::new(), body: body.to_string().into() }
    }

    fn events(count: u64) -> Vec<NovaEvent> {
        let event = |revision| NovaEvent {
            revision,
            server_id: format!("server-{revision}"),
            name: "network-changed".into(),
            status: None,
            port_id: format!("port-{revision}"),
        };
        (1..=count).map(event).collect()
    }

    #[test]
    fn what_nova_takes_is_settled() {
        assert_eq!(verdict(&answer(200, &json!({})), &events(2)), Verdict::Settled(Vec::new()));
        let body = json!({"events": [
            {"server_uuid": "server-2", "name": "network-changed", "tag": "port-2", "code": 404},
            {"server_uuid": "server-1", "name": "network-changed", "tag": "port-1", "code": 200},
        ]});
        assert_eq!(verdict(&answer(207, &body), &events(2)), Verdict::Settled(vec![(1, 404)]));
    }

    #[test]
    fn what_nova_will_never_take_is_settled_too() {
        assert_eq!(verdict(&answer(404, &json!({})), &events(2)), Verdict::Settled(vec![(0, 404), (1, 404)]));
        for status in [400, 413, 422] {
            assert_eq!(verdict(&answer(status, &json!({})), &events(2)), Verdict::Smaller);
            let only = vec![(0, u64::from(status))];
            assert_eq!(verdict(&answer(status, &json!({})), &events(1)), Verdict::Settled(only));
        }
    }

    #[test]
    fn trouble_may_pass() {
        for status in [401, 403, 409, 429, 500, 502, 503] {
            let said = verdict(&answer(status, &json!({"forbidden": {"message": "no right"}})), &events(1));
            assert!(matches!(&said, Verdict::Later(why) if why.contains("no right")), "{status}: {said:?}");
        }
    }
}
