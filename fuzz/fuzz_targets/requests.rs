//! Any method, path, query, header and body, through the whole of the server but for the socket: never a failure inside.
#![no_main]

use circlekeeper_fuzz::{texts, with_world};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [which, first, second, shape, rest @ ..] = data else { return };
    with_world(|world| {
        let operation = &world.operations[usize::from(*which) % world.operations.len()];
        let mut ids = [first, second].into_iter().cycle();
        let path: Vec<&str> = operation
            .path
            .split('/')
            .map(|part| match part {
                "{instrument}" => "phq-9",
                "{organization}" => &world.ids[0],
                part if part.starts_with('{') => {
                    &world.ids[usize::from(*ids.next().expect("two for ever")) % world.ids.len()]
                }
                part => part,
            })
            .collect();
        let mut texts = texts(rest).into_iter();
        let query = if shape & 1 == 1 { texts.next().unwrap_or_default() } else { "" };
        let (version, key, accept) = match shape & 2 {
            0 => ("\"1\"", "", "*/*"),
            _ => (texts.next().unwrap_or_default(), texts.next().unwrap_or_default(), texts.next().unwrap_or_default()),
        };
        let bearer = format!("Bearer {}", world.token);
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend([("if-match", version), ("accept", accept)]);
        headers.extend((!key.is_empty()).then_some(("idempotency-key", key)));
        let given = texts.next().unwrap_or_default();
        // The example with one of its fields replaced, or whatever it is.
        let body = match (&operation.example, shape & 4) {
            (Some(example), 4) => {
                let mut body = example.clone();
                let value = serde_json::from_str(given).unwrap_or_else(|_| serde_json::Value::from(given));
                if let Some(fields) = body.as_object_mut() {
                    let index = usize::from(shape >> 3) % fields.len().max(1);
                    if let Some((_, field)) = fields.iter_mut().nth(index) {
                        *field = value;
                    }
                }
                body.to_string()
            }
            _ => given.to_owned(),
        };
        let path = format!("{}?{query}", path.join("/"));
        let answer = world.send(&operation.method, &path, &headers, body.as_bytes());
        let is_failure = answer.status >= 500 && answer.status != 503;
        assert!(!is_failure, "{} {path} {body}: {} {}", operation.method, answer.status, answer.text);
    });
});
