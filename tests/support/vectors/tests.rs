use serde_json::Value;

use super::*;

#[test]
fn everything_published_is_made_byte_for_byte() {
    check_published().unwrap();
    let expected = Checked { sessions: 1, participants: 5, pairs: 10, long_masks: 1, secrets: 2 };
    assert_eq!(check(BUILT_IN).unwrap(), expected);
}

/// Where in a file every number and every text is that must be right: keys and numbers from the top.
fn leaves(value: &Value, pointer: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !["note", "source"].contains(&name.as_str()))
            .flat_map(|(name, value)| leaves(value, &format!("{pointer}/{name}")))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(nth, item)| leaves(item, &format!("{pointer}/{nth}")))
            .collect(),
        _ => vec![pointer.to_owned()],
    }
}

/// The texts and numbers that a leaf could have been: with a digit flipped, at a place that differs from leaf to leaf.
fn flipped(value: &Value, place: usize) -> Value {
    match value {
        Value::Number(number) => (number.as_u64().unwrap() ^ 1).into(),
        Value::String(text) => {
            let at = place % text.len();
            let digits = text.chars().enumerate().map(|(nth, digit)| match digit.to_digit(16) {
                Some(found) if nth == at => char::from_digit(found ^ 0xf, 16).unwrap(),
                None if nth == at => '?',
                _ => digit,
            });
            digits.collect::<String>().into()
        }
        other => panic!("{other} in a file of vectors"),
    }
}

#[test]
fn a_flipped_byte_anywhere_is_named() {
    let file: Value = serde_json::from_str(BUILT_IN).unwrap();
    let leaves = leaves(&file, "");
    assert!(leaves.len() > 100, "the file was not read");
    for (place, leaf) in leaves.iter().enumerate() {
        let mut changed = file.clone();
        let value = changed.pointer_mut(leaf).unwrap();
        *value = flipped(value, 7 * place);
        let room = leaf.split('/').nth(1).unwrap();
        // Only what is flipped is made again, for the sake of time.
        changed.as_object_mut().unwrap().retain(|name, _| name == room);
        if let Some(session) = changed.pointer_mut("/sessions/0").filter(|_| !leaf.contains("long_mask")) {
            session.as_object_mut().unwrap().remove("long_mask");
        }
        let error = format!("{:#}", check(&changed.to_string()).expect_err(leaf));
        assert!(error.contains(room), "{leaf}: {error}");
    }
}

/// What is made last is compared last, so a difference there has no other.
#[test]
fn the_first_difference_is_named_with_its_place_in_the_file() {
    let first = |leaf: &str| {
        let mut file: Value = serde_json::from_str(BUILT_IN).unwrap();
        let value = file.pointer_mut(leaf).unwrap();
        *value = flipped(value, 0);
        check(&file.to_string()).unwrap_err().downcast::<Difference>().unwrap().at
    };
    for (leaf, expected) in [
        ("/sessions/0/participants/3/mask_secret_key", "sessions[0].participants[3].mask_public_key"),
        ("/sessions/0/participants/3/self_seed", "sessions[0].participants[3].self_seed"),
        ("/sessions/0/participants/4/masked_input/2", "sessions[0].participants[4].masked_input[2]"),
        ("/sessions/0/pair_seeds/9/mask/1", "sessions[0].pair_seeds[9].mask[1]"),
        ("/sessions/0/sum_all/2", "sessions[0].sum_all[2]"),
        ("/sessions/0/long_mask/sha256", "sessions[0].long_mask.sha256"),
        ("/sessions/0/long_mask/elements", "sessions[0].long_mask.sha256"),
        ("/shamir/shares/4/y", "shamir.shares[4].y"),
        ("/shamir/threshold", "shamir.threshold"),
        ("/shamir_published/secret", "shamir_published.secret"),
    ] {
        assert_eq!(first(leaf), expected);
    }
}

#[test]
fn a_field_that_is_not_known_or_missing_is_named() {
    let changed = BUILT_IN.replace("\"self_seed\"", "\"seed_of_self\"");
    assert!(format!("{:#}", check(&changed).unwrap_err()).contains("unknown field `seed_of_self`"));
    let error = check(r#"{"sessions": [{"modulus_bits": 32}]}"#).unwrap_err();
    assert!(format!("{error:#}").contains("missing field `session_id`"));
    assert_eq!(check("{}").unwrap(), Checked::default());
}
