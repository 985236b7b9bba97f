//! The files in `conf/` and the documents made from the types.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel::cli::check::check;
use evenkeel::cli::schema::{Form, schema as print_schema};
use evenkeel::config::{Algorithm, Choice, Config, Errors, docs, load, schema};
use serde_json::{Map, Value};

fn load_file(path: &str) -> Result<Config, Errors> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    load(&text, path, &|_| None)
}

#[test]
fn the_shipped_files_load() {
    for file in [
        "conf/minimal.yaml",
        "conf/reference.yaml",
        "conf/evenkeel.yaml",
    ] {
        if let Err(errors) = load_file(file) {
            panic!("{errors}");
        }
    }
}

#[test]
fn check_sums_a_sound_file_up() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check("conf/minimal.yaml".as_ref(), &|_| None, &mut out, &mut err);
    assert_eq!(code, 0);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "conf/minimal.yaml: 1 listener, 1 route, 1 upstream, 2 backends\n"
    );
    assert!(err.is_empty());
}

#[test]
fn check_says_what_is_scaled_and_whether_in_earnest() {
    let text = "
listeners: [{ name: web, address: '0.0.0.0:5000' }]
routes: [{ name: all, upstream: web }]
upstreams: { web: { discovery: { type: docker }, health: { active: {} } } }
autoscaler:
  dry_run: true
  targets:
  - upstream: web
    max: 4
    signals: [{ type: requests, full: 100 }]
    driver: { type: docker, service: web }
";
    let name = format!("evenkeel-check-{}.yaml", std::process::id());
    let file = std::env::temp_dir().join(name);
    let told = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check(&file, &|_| None, &mut out, &mut err);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(code, 0, "{}", String::from_utf8_lossy(&err));
        String::from_utf8(out).unwrap()
    };
    let dry = told(text);
    assert!(
        dry.ends_with("; 1 upstream finds more; 1 is scaled (dry run)\n"),
        "{dry}"
    );
    let earnest = told(&text.replace("true", "false"));
    assert!(earnest.ends_with("; 1 is scaled\n"), "{earnest}");
}

#[test]
fn the_compose_file_finds_its_backends_and_hides_its_api() {
    let path = "conf/evenkeel.yaml";
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(check(path.as_ref(), &|_| None, &mut out, &mut err), 0);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "conf/evenkeel.yaml: 1 listener, 4 routes, 2 upstreams, 0 backends; \
         2 upstreams find more; 1 is scaled (dry run)\n"
    );
    let config = load_file(path).unwrap();
    let web = config.upstreams.iter().find(|one| one.name == "web");
    let discovery = &web.unwrap().discovery;
    assert_eq!(discovery.sources.len(), 2);
    assert!(discovery.registry.is_some());
    let admin = |variables: &[(&str, &str)]| {
        let text = std::fs::read_to_string(path).unwrap();
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let config = load(&text, path, &|name| {
            variables.get(name).map(|value| (*value).to_owned())
        });
        config.map(|config| config.admin.unwrap())
    };
    let open = ("ADMIN_ADDRESS", "0.0.0.0:9901");
    assert!(admin(&[]).unwrap().token.is_none());
    assert!(admin(&[open]).is_err(), "not without a token");
    let guarded = admin(&[open, ("ADMIN_TOKEN", "secret")]).unwrap();
    assert!(guarded.token.is_some());
}

#[test]
fn check_says_that_a_file_is_not_there() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check("no/such.yaml".as_ref(), &|_| None, &mut out, &mut err);
    assert_eq!(code, 1);
    let told = String::from_utf8(err).unwrap();
    assert!(
        told.starts_with("no/such.yaml:1:1: file: cannot be read: "),
        "{told}"
    );
}

#[test]
fn the_environment_changes_what_it_may() {
    let variables = BTreeMap::from([
        ("PORT", "6000"),
        ("BACKEND_SERVERS", "10.0.0.7:80=3, app.internal:81"),
        ("DEFAULT_ALGORITHM", "maglev"),
        ("WORKER_COUNT", "3"),
        ("HEALTH_CHECK_INTERVAL", "500"),
    ]);
    let text = std::fs::read_to_string("conf/evenkeel.yaml").unwrap();
    let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let config = load(&text, "conf/evenkeel.yaml", &env).unwrap();
    assert_eq!(config.listeners[0].address.to_string(), "0.0.0.0:6000");
    assert_eq!(config.server.workers.get(), 3);
    let upstream = |name| {
        config
            .upstreams
            .iter()
            .find(|one| one.name == name)
            .unwrap()
    };
    assert_eq!(upstream("web").algorithm, Choice::Fixed(Algorithm::Maglev));
    assert_eq!(upstream("beta").algorithm, Choice::Adaptive);
    for name in ["web", "beta"] {
        let check = upstream(name).health.active.as_ref().unwrap();
        let half = Duration::from_millis(500);
        assert_eq!((check.interval, check.timeout), (half, half), "{name}");
    }
    let backends: Vec<(&str, u32)> = upstream("web")
        .backends
        .iter()
        .map(|backend| (backend.address.as_str(), backend.weight))
        .collect();
    assert_eq!(backends, [("10.0.0.7:80", 3), ("app.internal:81", 1)]);
}

type Object = Map<String, Value>;

/// Keys whose default says little: the reference shows an example instead.
const EXAMPLES: [&str; 14] = [
    ".autoscaler",
    "Autoscaler.prometheus",
    "Discovery.name",
    "Discovery.path",
    "Match.path",
    "Route.redirect.path",
    "Route.rewrite",
    "ScaleTarget.driver.allow_exec",
    "ScaleTarget.driver.program",
    "ScaleTarget.driver.secret",
    "ScaleTarget.driver.service",
    "ScaleTarget.driver.url",
    "Split.weight",
    "Upstream.backends",
];

fn object(schema: &Value) -> &Object {
    schema.as_object().expect("a schema is an object")
}

/// The schemas of which one holds, each with the name of its type, or else its path.
fn alternatives<'s>(path: &str, schema: &'s Object, root: &'s Value) -> Vec<(String, &'s Object)> {
    let reference = schema.get("$ref").and_then(Value::as_str);
    if let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/")) {
        let target = object(&root["$defs"][name]);
        return alternatives(name, target, root);
    }
    match schema.get("anyOf").and_then(Value::as_array) {
        None => vec![(path.to_owned(), schema)],
        Some(all) => all
            .iter()
            .flat_map(|one| alternatives(path, object(one), root))
            .collect(),
    }
}

/// Every supported key of the schema, `Type.key`, with its default where it has one.
fn keys(path: &str, schema: &Object, root: &Value, all: &mut BTreeMap<String, Option<Value>>) {
    for (path, schema) in alternatives(path, schema, root) {
        for (key, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let property = object(property);
            if property.get("x-not-supported-yet") == Some(&Value::Bool(true)) {
                continue;
            }
            let path = format!("{path}.{key}");
            if all
                .insert(path.clone(), property.get("default").cloned())
                .is_none()
            {
                keys(&path, property, root, all);
            }
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(Value::Object(inner)) = schema.get(inner) {
                keys(&path, inner, root, all);
            }
        }
    }
}

/// Every key below `value` with the values it is given.
fn given(
    path: &str,
    value: &Value,
    schema: &Object,
    root: &Value,
    all: &mut BTreeMap<String, Vec<Value>>,
) {
    for (path, schema) in alternatives(path, schema, root) {
        let inner = |name: &str| schema.get(name).and_then(Value::as_object);
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    if let Some(property) = inner("properties").and_then(|known| known.get(key)) {
                        let path = format!("{path}.{key}");
                        all.entry(path.clone()).or_default().push(value.clone());
                        given(&path, value, object(property), root, all);
                    } else if let Some(any) = inner("additionalProperties") {
                        given(&path, value, any, root, all);
                    }
                }
            }
            Value::Array(items) => {
                for (item, schema) in items.iter().zip(std::iter::repeat(inner("items"))) {
                    if let Some(schema) = schema {
                        given(&path, item, schema, root, all);
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    let text = std::fs::read_to_string("conf/reference.yaml").unwrap();
    let reference: Value = serde_yaml::from_str(&text).unwrap();
    let root = schema::schema();
    let schema = root.as_object().unwrap();
    let (mut shown, mut wanted) = (BTreeMap::new(), BTreeMap::new());
    keys("", schema, &root, &mut wanted);
    given("", &reference, schema, &root, &mut shown);
    assert!(wanted.len() > 110, "{}", wanted.len());
    for (key, default) in wanted {
        let values = shown
            .get(&key)
            .unwrap_or_else(|| panic!("conf/reference.yaml does not name {key}"));
        // A mapping's default is compared key by key.
        let default = default.filter(|default| !default.is_object());
        if let Some(default) = default.filter(|_| !EXAMPLES.contains(&key.as_str())) {
            assert!(
                values.contains(&default),
                "{key} is {values:?}, not {default}"
            );
        }
    }
}

#[test]
fn the_schema_prints_as_json_and_as_markdown() {
    let mut out = Vec::new();
    assert_eq!(print_schema(Form::Json, &mut out), 0);
    let printed: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(printed, schema::schema());
    assert_eq!(
        printed["required"],
        serde_json::json!(["listeners", "routes", "upstreams"])
    );
    out.clear();
    assert_eq!(print_schema(Form::Markdown, &mut out), 0);
    assert_eq!(out, docs::markdown().into_bytes());
}

#[test]
fn the_document_is_what_the_types_say() {
    let document = "docs/configuration.md";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(document, docs::markdown()).unwrap();
    }
    assert!(
        std::fs::read_to_string(document).unwrap() == docs::markdown(),
        "{document} is out of date; write it with `evenkeel schema --markdown`"
    );
}
