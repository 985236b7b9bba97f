//! What makes it read the file again.

use crate::support::deadline::wait_until;
use crate::support::{Backend, Setup};

fn served_by(name: &'static str) -> (Backend, String) {
    let backend = Backend::named(name);
    let yaml = Setup::new(&[&backend]).yaml();
    (backend, yaml)
}

#[test]
fn a_file_that_is_replaced_or_written_in_place_is_noticed() {
    let ((_a, first), (_b, second), (_c, third)) = (served_by("a"), served_by("b"), served_by("c"));
    let evenkeel = crate::support::Evenkeel::start(&first);
    assert_eq!(evenkeel.get("/").text(), "a");
    evenkeel.reload(&second);
    assert_eq!(evenkeel.get("/").text(), "b");
    let before = evenkeel.reloads();
    let text = std::fs::read_to_string(evenkeel.config_file()).expect("it is there");
    let mut addresses = [&second, &third].map(|yaml| {
        let line = yaml.lines().find(|line| line.contains("- { address"));
        line.expect("a backend").to_owned()
    });
    let [old, new] = addresses.each_mut();
    std::fs::write(evenkeel.config_file(), text.replace(&**old, new)).expect("writable");
    wait_until("the file is noticed", || evenkeel.reloads() != before);
    assert_eq!(evenkeel.get("/").text(), "c");
}

#[test]
fn sighup_reads_the_file_again_whether_it_changed_or_not() {
    let (_a, yaml) = served_by("a");
    let evenkeel = crate::support::Evenkeel::start(&yaml);
    assert_eq!(evenkeel.reloads(), (0.0, 0.0), "a start is no reload");
    evenkeel.process().signal("HUP");
    wait_until("it is read again", || evenkeel.reloads() == (1.0, 0.0));
    assert!(evenkeel.process().stderr().contains("nothing changed"));
    assert_eq!(evenkeel.get("/").text(), "a");
}
