//! Files are whole or absent, whatever happens while they are written.

use std::path::Path;

use wgrad_nn::Error;
use wgrad_nn::file::{check_writable, write_atomic};

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_and_nothing_stays_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    for content in [&b"first"[..], b"", &[7; 100_000]] {
        check_writable(&file).unwrap();
        write_atomic(&file, content).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), content);
        assert_eq!(listing(folder.path()), ["model.safetensors"]);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    std::fs::write(&old, "old").unwrap();
    let taken = folder.path().join("folder");
    std::fs::create_dir(&taken).unwrap();
    // A folder that is not there, a file where a folder should be, and a folder where the file should be.
    for path in [folder.path().join("missing/model"), old.join("model"), taken.clone()] {
        for error in [write_atomic(&path, b"new").unwrap_err(), check_writable(&path).unwrap_err()] {
            assert!(matches!(error, Error::Write { .. }), "{error:?}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
    assert_eq!(std::fs::read(&old).unwrap(), b"old");
    assert_eq!(listing(folder.path()), ["folder", "old"]);
    assert!(listing(&taken).is_empty());
}

/// Writes that end half way. A limit on the size of files stands for a full disk, since every user may set one.
#[cfg(unix)]
mod interrupted {
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::Path;
    use std::process::{Command, ExitStatus};

    use wgrad_nn::{Error, StateDict};

    use super::listing;

    /// Names the file that the test below writes when it runs as its own child.
    const CHILD: &str = "WGRAD_TEST_WRITE_TO";

    /// Runs this test again in a process that may write files of 64 KiB at most; `trap` says what becomes of the
    /// signal that a process gets when it writes more.
    fn write_with_little_room(file: &Path, trap: &str) -> ExitStatus {
        let script = format!("{trap} ulimit -c 0; ulimit -f 128; exec \"$@\"");
        Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "files::interrupted::the_old_file_survives_a_full_disk_and_a_kill",
                "--test-threads=1",
            ])
            .env(CHILD, file)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
    }

    #[test]
    fn the_old_file_survives_a_full_disk_and_a_kill() {
        const SIGXFSZ: i32 = 25;

        let mut state = StateDict::default();
        state.tensors.insert("w".to_owned(), (vec![100_000], vec![1.0; 100_000]));
        if let Some(file) = std::env::var_os(CHILD) {
            let error = state.save(Path::new(&file)).unwrap_err();
            assert!(matches!(error, Error::Write { .. }), "{error:?}");
            assert!(error.to_string().contains("untouched"), "{error}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let mut old = state.clone();
        old.tensors.insert("w".to_owned(), (vec![2], vec![5.0, 6.0]));
        old.save(&file).unwrap();

        // The write fails half way: no room left.
        let status = write_with_little_room(&file, "trap '' XFSZ;");
        assert!(status.success(), "{status}");
        assert_eq!(StateDict::load(&file).unwrap().tensors, old.tensors);
        assert_eq!(listing(folder.path()), ["model.safetensors"], "the part that was written is removed");

        // The process is killed half way.
        let status = write_with_little_room(&file, "");
        assert_eq!(status.signal(), Some(SIGXFSZ), "{status}");
        assert_eq!(StateDict::load(&file).unwrap().tensors, old.tensors);

        // With room enough the same write goes through, beside what the kill left behind.
        state.save(&file).unwrap();
        assert_eq!(StateDict::load(&file).unwrap().tensors, state.tensors);
    }
}
