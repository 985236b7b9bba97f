use std::os::unix::fs::symlink;

use tokio::time::timeout;

use super::*;
use crate::control::folder::Folder;

/// Follows `path`, and fails unless each of the steps is noticed.
async fn notices(path: &Path, steps: &[&dyn Fn()]) {
    let changed = Notify::new();
    let all = async {
        changed.notified().await;
        for (number, step) in steps.iter().enumerate() {
            step();
            let told = timeout(Duration::from_secs(4), changed.notified()).await;
            assert!(told.is_ok(), "step {number} is not noticed");
        }
    };
    tokio::select! {
        () = all => {}
        () = follow(path, &changed) => {}
    }
}

#[tokio::test]
async fn a_file_that_is_written_renamed_over_or_back_again_is_noticed() {
    let folder = Folder::new();
    let path = folder.write("evenkeel.yaml", "one");
    let rename = || fs::rename(folder.write(".new", "three"), &path).unwrap();
    let write = |text: &'static str| {
        let path = path.clone();
        move || fs::write(&path, text).unwrap()
    };
    let remove = || fs::remove_file(&path).unwrap();
    notices(
        &path,
        &[
            &write("one and two"),
            &rename,
            &write("four!"),
            &remove,
            &write("5"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_link_that_is_swapped_in_the_middle_of_the_path_is_noticed() {
    let folder = Folder::new();
    folder.write("..1/evenkeel.yaml", "one");
    folder.write("..2/evenkeel.yaml", "two");
    folder.write("..3/evenkeel.yaml", "six");
    symlink("..1", folder.path("..data")).unwrap();
    let path = folder.path("evenkeel.yaml");
    symlink("..data/evenkeel.yaml", &path).unwrap();
    let swap = |to: &'static str| {
        let (from, data) = (folder.path("..data_tmp"), folder.path("..data"));
        move || {
            symlink(to, &from).unwrap();
            fs::rename(&from, &data).unwrap();
        }
    };
    notices(&path, &[&swap("..2"), &swap("..3")]).await;
}

#[tokio::test]
async fn the_file_at_the_end_of_a_link_is_watched_too() {
    let folder = Folder::new();
    let real = folder.write("elsewhere/real.yaml", "one");
    let path = folder.path("evenkeel.yaml");
    symlink(&real, &path).unwrap();
    notices(&path, &[&|| fs::write(&real, "one and two").unwrap()]).await;
}

#[tokio::test]
async fn what_happens_beside_it_is_no_change() {
    let folder = Folder::new();
    let path = folder.write("evenkeel.yaml", "one");
    let changed = Notify::new();
    let quiet = async {
        changed.notified().await;
        for _ in 0..3 {
            folder.write("other", "text");
            let told = timeout(Duration::from_millis(300), changed.notified()).await;
            assert!(told.is_err(), "a neighbour is taken for the file");
        }
    };
    tokio::select! {
        () = quiet => {}
        () = follow(&path, &changed) => {}
    }
}
