//! Tests with programs that every system has.

use std::path::Path;

use super::*;
use crate::clock;

/// Runs a script; the size is its `$1`.
fn script(text: &str, timeout: Duration) -> Exec {
    let arguments = ["-c", text, "script"].map(str::to_owned).to_vec();
    Exec::new("/bin/sh".into(), arguments, timeout, "web".to_owned()).expect("it is absolute")
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_program_gets_its_arguments_the_size_and_nothing_else() {
    let exec = script(r#"echo "$# $1"; /usr/bin/env; pwd; cat; echo oh >&2"#, SOON);
    let (status, [said, complained]) = exec.run(7).await.expect("it runs");
    assert!(status.success(), "{status}: {said} {complained}");
    assert!(said.starts_with("1 7 "), "{said}");
    assert!(said.contains("PATH="), "{said}");
    assert!(!said.contains("CARGO"), "{said}");
    assert!(said.ends_with(" /"), "{said}");
    assert_eq!(complained, "oh");
    assert_eq!(exec.resize(1, 7).await, Ok(()));
    assert_eq!(exec.size().await, Ok(None));
}

#[tokio::test]
async fn no_shell_reads_the_arguments() {
    let arguments = vec!["$HOME; echo".to_owned()];
    let exec = Exec::new("/bin/echo".into(), arguments, SOON, "web".to_owned());
    let (_, [said, _]) = exec.expect("absolute").run(3).await.expect("it runs");
    assert_eq!(said, "$HOME; echo 3");
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_is_an_error() {
    let error = script("echo no >&2; exit 3", SOON).resize(1, 2).await;
    let error = error.expect_err("it fails").to_string();
    assert_eq!(error, "/bin/sh: exit status: 3: no");
    let error = script("kill -9 $$", SOON).resize(1, 2).await;
    assert!(
        error
            .expect_err("it is killed")
            .to_string()
            .contains("signal: 9")
    );
    let absent = Exec::new("/nowhere/x".into(), Vec::new(), SOON, "web".to_owned());
    let error = absent.expect("absolute").resize(1, 2).await;
    assert_eq!(error.expect_err("it is not there").label(), "program");
    let relative = Exec::new("scale".into(), Vec::new(), SOON, "web".to_owned());
    let error = relative.err().expect("refused").to_string();
    assert!(error.contains("not an absolute path"), "{error}");
}

#[tokio::test]
async fn much_output_is_read_and_little_of_it_kept() {
    let exec = script("yes | head -c 1000000; exit 0", SOON);
    let (status, [said, _]) = exec.run(1).await.expect("it runs");
    assert!(status.success(), "it was never kept waiting");
    assert!(said.len() < MAX_OUTPUT, "{}", said.len());
}

#[tokio::test]
async fn what_takes_too_long_is_killed_with_what_it_has_started() {
    let folder = std::env::temp_dir().join(format!("evenkeel-exec-{}", std::process::id()));
    let file = folder.display().to_string();
    let text = format!("sleep 1000 & echo $! >{file}; wait");
    let error = script(&text, Duration::from_secs(1)).resize(1, 2).await;
    assert_eq!(error.expect_err("it takes too long").label(), "timeout");
    let sleeper = std::fs::read_to_string(&file).expect("it began");
    std::fs::remove_file(&file).expect("it is there");
    let status = format!("/proc/{}/stat", sleeper.trim());
    let runs = || {
        let stat = std::fs::read_to_string(Path::new(&status)).unwrap_or_default();
        // A zombie has ended.
        stat.contains("(sleep)") && !stat.contains(") Z ")
    };
    let begin = clock::now();
    while runs() {
        assert!(clock::now().since(begin) < SOON, "it still runs");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_it_leaves_behind_does_not_keep_the_call() {
    let begin = clock::now();
    let exec = script("sleep 30 & echo begun", Duration::from_secs(25));
    let (status, [said, _]) = exec.run(1).await.expect("it runs");
    assert!(status.success());
    assert_eq!(said, "begun");
    assert!(clock::now().since(begin) < Duration::from_secs(20));
}
