use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

const FILE: &str = "listeners: [{ name: web, address: '127.0.0.1:5000' }]\n\
    routes: [{ name: all, upstream: app }]\n\
    upstreams: { app: { backends: [{ address: '192.0.2.1:80', weight: 1 }] } }\n\
    admin: null\n";

fn file(name: &str, text: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("evenkeel-plan-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn plan(arguments: &[&str]) -> (u8, String, String) {
    let arguments = std::iter::once(&"plan").chain(arguments);
    let options = Command::parse_from(arguments).options;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&options, &|_| None, &mut out, &mut err).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code, text(out), text(err))
}

fn as_str(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn two_files_are_compared() {
    let (old, new) = (
        file("two-old.yaml", FILE),
        file("two-new.yaml", &FILE.replace("weight: 1", "weight: 9")),
    );
    let (old, new) = (as_str(&old), as_str(&new));
    let told = "backend changed: upstreams.app.backends[192.0.2.1:80].weight: 1 -> 9\n";
    let same = (0, "no change\n".to_owned(), String::new());
    assert_eq!(plan(&["--config", old, "--detailed-exitcode", old]), same);
    let expected = (0, told.to_owned(), String::new());
    assert_eq!(plan(&["--config", old, new]), expected);
    assert_eq!(plan(&["--config", old, "--detailed-exitcode", new]).0, 2);
    let (code, json, _) = plan(&["--config", old, "--json", new]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 0);
    let expected = serde_json::json!({
        "changes": [{
            "what": "backend changed",
            "path": "upstreams.app.backends[192.0.2.1:80].weight",
            "detail": "1 -> 9",
        }],
        "needs_upgrade": [],
        "no_change": false,
    });
    assert_eq!(json, expected);
}

#[test]
fn a_wrong_configuration_is_told_as_check_tells_it() {
    let old = file("wrong-old.yaml", FILE);
    let new = file("wrong-new.yaml", &FILE.replace("weight: 1", "weight: no"));
    let (code, out, err) = plan(&["--config", as_str(&old), as_str(&new)]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with(&format!("{}:3:", new.display())), "{err}");
}

#[test]
fn a_running_process_is_asked() {
    let new = file("asked.yaml", FILE);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = listener.local_addr().unwrap().to_string();
    let process = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut body) = (String::new(), vec![0; FILE.len()]);
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        reader.read_exact(&mut body).unwrap();
        let plan = "{\"changes\":[],\"needs_upgrade\":[{\"what\":\"listener added\",\
                    \"path\":\"listeners.b\",\"detail\":\"127.0.0.1:1\"}],\"no_change\":false}";
        let answer = format!("HTTP/1.1 200 OK\r\n\r\n{plan}");
        stream.write_all(answer.as_bytes()).unwrap();
        (head, String::from_utf8(body).unwrap())
    });
    let asked = plan(&["--admin", &admin, "--token", "secret", as_str(&new)]);
    let (head, body) = process.join().unwrap();
    assert!(head.starts_with("POST /api/v1/config/plan "), "{head}");
    assert!(head.contains("Authorization: Bearer secret"), "{head}");
    assert_eq!(body, FILE);
    let told = "needs a new process (evenkeel run --upgrade):\n  listener added: listeners.b: 127.0.0.1:1\n";
    assert_eq!(asked, (0, told.to_owned(), String::new()));
    let (code, _, err) = plan(&["--admin", &admin, as_str(&new)]);
    assert_eq!(code, 1, "nobody is there any more");
    assert!(err.starts_with(&admin), "{err}");
}
