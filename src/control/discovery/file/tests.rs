use super::*;
use crate::control::folder::Folder;

fn file(folder: &Folder, name: &str, interval: Duration) -> File {
    let path = folder.path(name);
    File::new(FileSource { path, interval })
}

const NEVER: Duration = Duration::from_hours(1);

async fn ports(file: &mut File) -> Result<Vec<u16>, String> {
    let found = file.look().await?;
    Ok(found.iter().map(|one| one.address.port()).collect())
}

/// Waits for a change and looks.
async fn next(file: &mut File) -> Result<Vec<u16>, String> {
    let changed = timeout(Duration::from_secs(20), file.pause()).await;
    changed.expect("the change is noticed");
    ports(file).await
}

#[tokio::test]
async fn a_change_is_noticed_however_it_is_made() {
    let folder = Folder::new();
    folder.write("list", "[127.0.0.1:1]");
    let mut file = file(&folder, "list", NEVER);
    assert_eq!(ports(&mut file).await, Ok(vec![1]));
    folder.write("list", "[127.0.0.1:2]");
    assert_eq!(next(&mut file).await, Ok(vec![2]), "written in place");
    folder.write("new", "[127.0.0.1:3]");
    std::fs::rename(folder.path("new"), folder.path("list")).expect("same folder");
    assert_eq!(next(&mut file).await, Ok(vec![3]), "replaced");
    std::fs::remove_file(folder.path("list")).expect("there");
    let gone = next(&mut file).await.unwrap_err();
    assert!(gone.contains("No such file"), "{gone}");
    folder.write("list", "[127.0.0.1:4]");
    assert_eq!(next(&mut file).await, Ok(vec![4]), "made again");
}

#[tokio::test]
async fn a_swapped_link_is_noticed() {
    let folder = Folder::new();
    let at = |name: &str| folder.path(name);
    for (version, port) in [("one", 1), ("two", 2)] {
        std::fs::create_dir_all(at(version)).expect("writable");
        folder.write(&format!("{version}/list"), &format!("[127.0.0.1:{port}]"));
    }
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, at("swap")).expect("writable");
        std::fs::rename(at("swap"), at(name)).expect("same folder");
    };
    link("one", "..data");
    link("..data/list", "list");
    let mut file = file(&folder, "list", NEVER);
    assert_eq!(ports(&mut file).await, Ok(vec![1]));
    link("two", "..data");
    assert_eq!(next(&mut file).await, Ok(vec![2]), "the link's own link");
    folder.write("two/list", "[127.0.0.1:3]");
    assert_eq!(next(&mut file).await, Ok(vec![3]), "where it leads to");
    link("one/list", "list");
    assert_eq!(next(&mut file).await, Ok(vec![1]), "the link");
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_watched_again() {
    let folder = Folder::new();
    let at = |name: &str| folder.path(name);
    for (name, port) in [("in", 1), ("out", 2)] {
        std::fs::create_dir_all(at(name)).expect("writable");
        folder.write(&format!("{name}/list"), &format!("[127.0.0.1:{port}]"));
    }
    let mut file = file(&folder, "in/list", Duration::from_millis(50));
    assert_eq!(ports(&mut file).await, Ok(vec![1]));
    std::fs::rename(at("in"), at("old")).expect("same folder");
    std::fs::rename(at("out"), at("in")).expect("same folder");
    assert_eq!(next(&mut file).await, Ok(vec![2]), "by the interval");
    file.source.interval = NEVER;
    folder.write("in/list", "[127.0.0.1:3]");
    assert_eq!(next(&mut file).await, Ok(vec![3]), "by the watch");
}

#[tokio::test]
async fn what_is_no_list_has_its_place() {
    let folder = Folder::new();
    folder.write("list", "- 127.0.0.1:1\n- nonsense\n");
    let told = ports(&mut file(&folder, "list", NEVER)).await.unwrap_err();
    assert!(told.contains("list:2:3: [1]: expected HOST:PORT"), "{told}");
    let told = ports(&mut file(&folder, "nothing", NEVER))
        .await
        .unwrap_err();
    assert!(told.contains("No such file"), "{told}");
    let told = ports(&mut file(&folder, ".", NEVER)).await.unwrap_err();
    assert!(told.contains("not a file"), "{told}");
}

#[tokio::test]
async fn names_are_looked_up_and_kept_for_tls() {
    let folder = Folder::new();
    folder.write(
        "list",
        "[{ address: localhost:7, weight: 3 }, '127.0.0.1:8', '[::1]:9']",
    );
    let found = file(&folder, "list", NEVER).look().await.expect("sound");
    let named: Vec<_> = found.iter().filter(|one| one.address.port() == 7).collect();
    assert!(
        named
            .iter()
            .all(|one| one.address.ip().is_loopback() && one.weight == 3)
    );
    assert_eq!(named[0].name.as_deref(), Some("localhost"));
    let others = found.iter().filter(|one| one.address.port() != 7);
    assert!(others.clone().all(|one| one.name.is_none()));
    assert_eq!(others.count(), 2);
    folder.write("list", "[nobody.invalid:1]");
    let told = file(&folder, "list", NEVER).look().await.unwrap_err();
    assert!(
        told.starts_with("nobody.invalid:1 cannot be looked up"),
        "{told}"
    );
}
