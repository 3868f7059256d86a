//! What is refused when a job is submitted, and what listings show.

use super::*;

fn code(spec: &HttpSpec) -> Option<Code> {
    spec.check().err().map(|(code, _)| code)
}

fn headers(headers: Vec<Header>) -> HttpSpec {
    HttpSpec {
        headers,
        ..HttpSpec::DEFAULT
    }
}

fn credential(change: serde_json::Value) -> HttpSpec {
    let mut credential = serde_json::json!({"user": "me", "password": "env:PASSWORD"});
    for (key, value) in change.as_object().unwrap() {
        credential[key] = value.clone();
    }
    serde_json::from_value(serde_json::json!({ "credentials": [credential] })).unwrap()
}

#[test]
fn b141_credentials_are_held_against_their_limits() {
    let name = |len| "n".repeat(len);
    let reference = |len: usize| format!("env:{}", "P".repeat(len - 4));
    let table = [
        (serde_json::json!({}), None),
        (serde_json::json!({"scheme": "digest", "target": "proxy"}), None),
        (serde_json::json!({"scheme": "bearer", "user": ""}), None),
        (serde_json::json!({"user": name(300)}), None),
        (serde_json::json!({"user": name(301)}), Some(Code(0x8020_0025))),
        (serde_json::json!({"password": reference(65_535)}), None),
        (
            serde_json::json!({"password": reference(65_536)}),
            Some(Code(0x8020_0026)),
        ),
        (serde_json::json!({"target": "mirror"}), Some(Code(0x8020_0027))),
        (serde_json::json!({"scheme": "kerberos"}), Some(Code(0x8020_0028))),
        (serde_json::json!({"user": ""}), Some(Code::INVALIDARG)),
        (serde_json::json!({"user": "a:b"}), Some(Code::INVALIDARG)),
        (serde_json::json!({"scheme": "bearer"}), Some(Code::INVALIDARG)),
        (serde_json::json!({"password": "hunter2"}), Some(Code::INVALIDARG)),
        (
            serde_json::json!({"password": "file:relative"}),
            Some(Code::INVALIDARG),
        ),
        (
            serde_json::json!({"password": "credential:../x"}),
            Some(Code::INVALIDARG),
        ),
    ];
    for (change, expected) in table {
        let shown: String = change.to_string().chars().take(60).collect();
        assert_eq!(code(&credential(change)), expected, "{shown}");
    }
}

#[test]
fn bn04_schemes_of_another_world_are_refused_by_their_code() {
    for scheme in ["ntlm", "negotiate", "passport"] {
        let spec = credential(serde_json::json!({ "scheme": scheme }));
        assert_eq!(code(&spec), Some(Code(0x8020_0028)), "{scheme}");
    }
}

#[test]
fn b141_one_credential_for_each_target_and_scheme() {
    let one = |scheme: &str, user: &str| {
        let json = serde_json::json!({"scheme": scheme, "user": user, "password": "env:P"});
        serde_json::from_value::<Credential>(json).unwrap()
    };
    let pair = |one: Credential, two: Credential| {
        code(&HttpSpec {
            credentials: vec![one, two],
            ..HttpSpec::DEFAULT
        })
    };
    assert_eq!(pair(one("basic", "a"), one("digest", "a")), None);
    assert!(pair(one("basic", "a"), one("basic", "b")).is_some());
    assert!(pair(one("basic", "a"), one("bearer", "")).is_some());
    let proxy = Credential {
        target: AuthTarget::Proxy,
        ..one("basic", "p")
    };
    assert_eq!(pair(one("basic", "a"), proxy), None);
}

#[test]
fn b141_what_is_no_reference_is_not_repeated() {
    let spec = credential(serde_json::json!({"password": "hunter2"}));
    let (_, why) = spec.check().unwrap_err();
    assert!(!why.contains("hunter2") && why.contains("env:NAME"), "{why}");
}

#[test]
fn b143_headers_that_would_break_a_transfer_are_refused() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Range",
        "If-Range",
        "Connection",
        "Proxy-Authorization",
        "BITS-Packet-Type",
        "",
        "a b",
        "a\r\nb",
    ] {
        assert_eq!(
            code(&headers(vec![Header::new(name, "1")])),
            Some(Code::INVALIDARG)
        );
    }
    for value in ["a\r\nX: b", "a\0", " a", "***"] {
        assert_eq!(
            code(&headers(vec![Header::new("X-A", value)])),
            Some(Code::INVALIDARG)
        );
    }
    for (name, value) in [
        ("Host", "h"),
        ("User-Agent", "x/1"),
        ("Cookie", "a=b"),
        ("X-A", ""),
    ] {
        assert_eq!(code(&headers(vec![Header::new(name, value)])), None, "{name}");
    }
}

#[test]
fn b143_all_headers_together_have_16384_characters_at_most() {
    let of = |len: usize| {
        headers(vec![
            Header::new("X-A", "a"),
            Header::new("X-B", "b".repeat(len - 8 - 7)),
        ])
    };
    assert_eq!(code(&of(16_384)), None);
    assert_eq!(code(&of(16_385)), Some(Code::STRING_TOO_LONG));
}

#[test]
fn b143_listings_mask_what_opens_a_door() {
    let mut spec = headers(vec![
        Header::new("X-Version", "7"),
        Header::new("Authorization", "Bearer hunter2"),
        Header::new("x-api-key", "hunter2"),
        Header::new("Cookie", "hunter2"),
        Header::new("Proxy-Authorization", "hunter2"),
        Header::secret("X-Plain", crate::job::SecretRef::new("env:X")),
    ]);
    let listed = serde_json::to_string(&spec.shown()).unwrap();
    assert!(!listed.contains("hunter2"), "{listed}");
    assert!(listed.contains("\"7\"") && listed.contains("env:X"), "{listed}");
    let printed = format!("{spec:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    spec.headers_hidden = true;
    let listed = serde_json::to_string(&spec.shown()).unwrap();
    assert!(
        !listed.contains("\"7\"") && !listed.contains("env:X") && listed.contains("X-Version"),
        "{listed}"
    );
}

#[test]
fn b143_hidden_headers_stay_hidden() {
    let open = HttpSpec::DEFAULT;
    let hidden = HttpSpec {
        headers_hidden: true,
        ..HttpSpec::DEFAULT
    };
    assert!(open.check_change(&hidden).is_ok());
    assert!(hidden.check_change(&hidden).is_ok());
    assert!(hidden.check_change(&open).is_err());
}

#[test]
fn b144_methods_that_bring_no_file_are_refused() {
    let of = |method: &str| HttpSpec {
        method: Some(method.to_owned()),
        ..HttpSpec::DEFAULT
    };
    for (method, good) in [
        ("POST", true),
        ("REPORT", true),
        ("GET", true),
        ("HEAD", false),
        ("connect", false),
        ("TRACE", false),
        ("", false),
        ("GET /x", false),
    ] {
        assert_eq!(of(method).check().is_ok(), good, "{method}");
    }
    assert_eq!(of("GET").own_method(), None);
    let both = HttpSpec {
        dynamic: true,
        ..of("POST")
    };
    assert_eq!(code(&both), Some(Code(0x8020_0071)), "E-71");
}

#[test]
fn b82_statuses_that_are_no_errors_have_no_class() {
    let of = |status| HttpSpec {
        classes: BTreeMap::from([(status, StatusClass::Fatal)]),
        ..HttpSpec::DEFAULT
    };
    for (status, good) in [(299, false), (300, true), (599, true), (600, false)] {
        assert_eq!(of(status).check().is_ok(), good, "{status}");
    }
}

#[test]
fn a_part_of_which_nothing_is_said_is_written_as_nothing() {
    assert_eq!(serde_json::to_string(&HttpSpec::DEFAULT).unwrap(), "{}");
    let spec: HttpSpec = serde_json::from_str(r#"{"classes":{"404":"transient"}}"#).unwrap();
    assert_eq!(spec.classes[&404], StatusClass::Transient);
    assert_eq!(
        serde_json::from_str::<HttpSpec>(&serde_json::to_string(&spec).unwrap()).unwrap(),
        spec
    );
}
