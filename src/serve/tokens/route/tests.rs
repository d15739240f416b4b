use proptest::prelude::*;

use super::*;

const OURS: &str = "11111111-1111-4111-8111-111111111111";
const RESOURCE_OF: &str = "https://cognitiveservices.azure.com";

fn scopes() -> Vec<Scope> {
    let scopes = [
        "https://cognitiveservices.azure.com/.default",
        "api://contoso-app/.default",
        "22222222-2222-4222-8222-222222222222/.default",
    ];
    scopes.map(|scope| Scope::parse(scope).unwrap()).into()
}

type Told = (u16, &'static str, String);

fn wanted_by(shape: Shape, query: &str, client: Option<&str>) -> Result<String, Told> {
    let scopes = scopes();
    let scope = shape.wanted(Some(query), Offer { scopes: &scopes, client });
    scope.map(ToString::to_string).map_err(|refusal| (refusal.status.as_u16(), refusal.code, refusal.message))
}

fn wanted(query: &str) -> Result<String, (u16, &'static str)> {
    wanted_by(Shape::Imds, query, Some(OURS)).map_err(|told| (told.0, told.1))
}

const INVALID: Result<String, (u16, &'static str)> = Err((400, "invalid_request"));
const NOT_OFFERED: Result<String, (u16, &'static str)> = Err((400, "invalid_resource"));

#[test]
fn each_shape_has_its_path() {
    for (path, shape) in [
        (IMDS, Some(Shape::Imds)),
        ("/metadata/identity/oauth2/token/", Some(Shape::Imds)),
        (APP_SERVICE, Some(Shape::AppService)),
        ("/msi/token/", None),
        ("/metadata/identity/oauth2/token//", None),
        ("//metadata/identity/oauth2/token", None),
        ("/metadata/identity/oauth2/../oauth2/token", None),
        ("/metadata/identity/oauth2/%74oken", None),
        ("/Metadata/identity/oauth2/token", None),
        ("/metadata/instance", None),
        ("/metadata/identity/getplatformmetadata", None),
        ("/", None),
        ("", None),
    ] {
        assert_eq!(Shape::of(path), shape, "{path}");
    }
}

#[test]
fn what_a_resource_means_is_an_entry_of_the_list() {
    let entry = Ok(format!("{RESOURCE_OF}/.default"));
    for resource in [
        RESOURCE_OF,
        "https://cognitiveservices.azure.com/",
        "https://cognitiveservices.azure.com/.default",
        "https%3A%2F%2Fcognitiveservices.azure.com",
        "https%3a%2f%2fcognitiveservices.azure.com%2F",
    ] {
        assert_eq!(wanted(&format!("api-version=2018-02-01&resource={resource}")), entry, "{resource}");
        assert_eq!(wanted(&format!("resource={resource}&api-version=x&")), entry, "{resource}");
    }
    let ours = wanted("api-version=1&resource=api%3A%2F%2Fcontoso-app");
    assert_eq!(ours.as_deref(), Ok("api://contoso-app/.default"));
    let id = wanted("api-version=1&resource=22222222-2222-4222-8222-222222222222");
    assert_eq!(id.as_deref(), Ok("22222222-2222-4222-8222-222222222222/.default"));
    for resource in [
        "https://vault.azure.net",
        "https://cognitiveservices.azure.com//",
        "https://cognitiveservices.azure.com//.default",
        "https://cognitiveservices.azure.com/.default/",
        "https://cognitiveservices.azure.com/.default/.default",
        "https://cognitiveservices.azure.com/User.Read",
        "https://cognitiveservices.azure.com.evil.example",
        "https://cognitiveservices.azure.com+https://vault.azure.net",
        "https://cognitiveservices.azure.com%20https://vault.azure.net/.default",
        "https://COGNITIVESERVICES.azure.com",
        "http://cognitiveservices.azure.com",
        "cognitiveservices.azure.com",
        "https%253A%252F%252Fcognitiveservices.azure.com",
        "/.default",
        "/",
    ] {
        assert_eq!(wanted(&format!("api-version=1&resource={resource}")), NOT_OFFERED, "{resource}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let good = format!("api-version=1&resource={RESOURCE_OF}");
    assert!(wanted(&good).is_ok());
    for more in [
        "resource=https://vault.azure.net",
        "re%73ource=https://vault.azure.net",
        "resource=",
        "resource",
        "api-version=1",
        "scope=https://vault.azure.net",
        "Resource=https://vault.azure.net",
        "bypass_cache=true",
        "resource[]=x",
        "=",
        "%",
        "a%",
        "%2",
        "%zz=1",
        "resource%00=1",
        "%ff=1",
    ] {
        assert_eq!(wanted(&format!("{good}&{more}")), INVALID, "{more}");
        assert_eq!(wanted(&format!("{more}&{good}")), INVALID, "{more}");
    }
    for resource in ["%", "%4", "%4g", "https:%2", "https%3A%0a", "%00", "%c3%28", "%u0041", ""] {
        assert_eq!(wanted(&format!("api-version=1&resource={resource}")), INVALID, "{resource}");
    }
    for query in ["", "api-version=1", "api-version=&resource=https://cognitiveservices.azure.com"] {
        assert_eq!(wanted(query), INVALID, "{query}");
    }
    assert_eq!(wanted(&format!("resource={RESOURCE_OF}")), INVALID);
    let scopes = scopes();
    assert!(Shape::Imds.wanted(None, Offer { scopes: &scopes, client: None }).is_err());
}

#[test]
fn only_app_service_s_own_version_is_known_there() {
    let by = |version: &str| {
        let query = format!("api-version={version}&resource={RESOURCE_OF}");
        wanted_by(Shape::AppService, &query, None).is_ok()
    };
    assert!(by("2019-08-01"));
    for version in ["2017-09-01", "2018-02-01", "2019-08-01x", ""] {
        assert!(!by(version), "{version}");
    }
}

#[test]
fn no_other_identity_can_be_asked_for() {
    let good = format!("api-version=2019-08-01&resource={RESOURCE_OF}");
    for shape in [Shape::Imds, Shape::AppService] {
        let with = |selector: &str, client| wanted_by(shape, &format!("{good}&{selector}"), client);
        assert!(with(&format!("client_id={OURS}"), Some(OURS)).is_ok());
        assert!(with(&format!("client_id={}", OURS.to_uppercase()), Some(OURS)).is_ok());
        for selector in [
            "client_id=33333333-3333-4333-8333-333333333333".to_owned(),
            "client_id=".to_owned(),
            format!("object_id={OURS}"),
            format!("principal_id={OURS}"),
            format!("mi_res_id={OURS}"),
            format!("msi_res_id={OURS}"),
            format!("client_id={OURS}&object_id=1"),
        ] {
            let (status, code, message) = with(&selector, Some(OURS)).unwrap_err();
            assert_eq!((status, code), (400, "invalid_request"), "{selector}");
            assert!(message.starts_with("Identity not found"), "{message}");
        }
        assert!(with(&format!("client_id={OURS}"), None).is_err(), "nobody knows which it is");
        assert!(with(&format!("clientid={OURS}"), Some(OURS)).is_err(), "Azure ML's word");
    }
}

#[test]
fn each_shape_is_asked_with_its_header() {
    let checked = |shape: Shape, method: &str, headers: &[(&str, &str)], wants_token| {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        shape
            .check(&request.body(()).unwrap(), wants_token)
            .map_err(|refusal| (refusal.status.as_u16(), refusal.message))
    };
    let imds = |headers: &[(&str, &str)]| checked(Shape::Imds, "GET", headers, false);
    assert_eq!(imds(&[("Metadata", "true")]), Ok(()));
    let required = Err((400, "Required metadata header not specified".to_owned()));
    for headers in [
        &[][..],
        &[("Metadata", "True")],
        &[("Metadata", "false")],
        &[("Metadata", "")],
        &[("Metadata", "true"), ("Metadata", "true")],
        &[("X-IDENTITY-HEADER", "x")],
    ] {
        assert_eq!(imds(headers), required, "{headers:?}");
    }
    let (status, message) = checked(Shape::Imds, "GET", &[("Metadata", "true")], true).unwrap_err();
    assert_eq!(status, 403);
    assert!(message.contains("IDENTITY_ENDPOINT"), "{message}");
    let app_service = |headers: &[(&str, &str)], token| checked(Shape::AppService, "GET", headers, token);
    for token in [false, true] {
        assert_eq!(app_service(&[("X-IDENTITY-HEADER", "anything")], token), Ok(()));
        for headers in [
            &[][..],
            &[("X-IDENTITY-HEADER", "")],
            &[("X-IDENTITY-HEADER", "a"), ("X-IDENTITY-HEADER", "a")],
            &[("Metadata", "true")],
            &[("secret", "x")],
        ] {
            assert_eq!(app_service(headers, token).unwrap_err().0, 400, "{headers:?}");
        }
    }
    for method in ["POST", "PUT", "HEAD", "OPTIONS", "TRACE"] {
        assert_eq!(checked(Shape::Imds, method, &[("Metadata", "true")], false).unwrap_err().0, 405, "{method}");
        assert_eq!(checked(Shape::AppService, method, &[("X-IDENTITY-HEADER", "x")], false).unwrap_err().0, 405);
    }
}

const NAMES: [&str; 6] = ["resource", "resource", "re%73ource", "client_id", "api-version", "Resource"];
const VALUES: [&str; 8] = [
    RESOURCE_OF,
    "https%3A%2F%2Fcognitiveservices.azure.com%2F",
    "https://cognitiveservices.azure.com/.default",
    "https://vault.azure.net",
    "https://cognitiveservices.azure.com%26resource%3Dhttps://vault.azure.net",
    OURS,
    "%",
    "",
];

proptest! {
    /// Whoever reads the query in the usual way finds one resource in it, and that is the entry's.
    #[test]
    fn what_is_given_is_what_everybody_would_read(picked in prop::collection::vec((0..6_usize, 0..8_usize), 1..4)) {
        let parameters: Vec<String> =
            picked.iter().map(|(name, value)| format!("{}={}", NAMES[*name], VALUES[*value])).collect();
        let query = format!("{}&api-version=1", parameters.join("&"));
        if let Ok(scope) = wanted(&query) {
            let url = azure_core::http::Url::parse(&format!("http://localhost/?{query}")).unwrap();
            let read: Vec<String> =
                url.query_pairs().filter(|(name, _)| name == RESOURCE).map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(read.len(), 1, "{}", query);
            let bare = read[0].trim_end_matches("/.default").trim_end_matches('/');
            prop_assert_eq!(format!("{bare}/.default"), scope, "{}", query);
        }
    }
}
