//! YAML as a JSON value, as Kubernetes reads it; aliases and tags are not used.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Every document of a text.
pub fn documents(text: &str) -> Vec<Value> {
    let mut events = Parser::new_from_str(text).map(|event| event.unwrap().0);
    let (mut found, mut next) = (Vec::new(), events.next());
    while let Some(event) = next {
        if matches!(event, Event::DocumentStart(_)) {
            let first = events.next().unwrap();
            found.push(value(first, &mut events));
        }
        next = events.next();
    }
    found
}

fn value<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => match &*text {
            "" | "~" | "null" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            text => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        },
        Event::Scalar(text, ..) => (*text).into(),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::SequenceEnd => return items.into(),
                    item => items.push(value(item, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut members = Map::new();
            loop {
                let key = match events.next().unwrap() {
                    Event::MappingEnd => return members.into(),
                    Event::Scalar(key, ..) => key.into_owned(),
                    key => panic!("{key:?} is no key"),
                };
                let member = events.next().unwrap();
                let before = members.insert(key.clone(), value(member, events));
                assert!(before.is_none(), "{key} is there twice");
            }
        }
        event => panic!("{event:?} is not expected"),
    }
}
