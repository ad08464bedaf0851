//! The download against a server on the loopback interface.

use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

/// Serves one request with `response`, and closes the connection.
fn serve(response: Vec<u8>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cifar-10-binary.tar.gz", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        // The client may hang up on a body it refuses.
        let _ = stream.write_all(&response);
    });
    (url, server)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A record whose bytes all equal `value`.
fn record(value: u8) -> Vec<u8> {
    vec![value; 3073]
}

/// The six data files, one record each.
fn good_entries() -> Vec<(String, Vec<u8>)> {
    let entry = |(i, name): (usize, &&str)| (format!("{SUBFOLDER}/{name}"), record(i as u8));
    FILES.iter().enumerate().map(entry).collect()
}

fn pack(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        // Written past `set_path`, which refuses the paths that a hostile archive would hold.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// Fetches from a server that answers `response` to `folder`, where an archive of `body` is expected.
fn fetch_into(folder: &Path, response: Vec<u8>, body: &[u8]) -> Result<PathBuf> {
    let (url, server) = serve(response);
    let archive = Archive { url: &url, sha256: &sha256(body), bytes: body.len() as u64 };
    // No proxy: the server is on this machine, whatever the environment says.
    let result = fetch(&agent().proxy(None).build(), &archive, folder, |_, _| ());
    server.join().unwrap();
    result
}

/// As [`fetch_into`], for a fetch that must fail and leave nothing behind.
fn refused(response: Vec<u8>, body: &[u8]) -> String {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("cifar10");
    let error = fetch_into(&folder, response, body).unwrap_err();
    assert!(matches!(error, Error::Download { .. }), "{error:?}");
    assert_eq!(names(&folder), Vec::<String>::new());
    error.to_string()
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_good_archive_is_unpacked_and_loads() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("a/b/cifar10");
    let mut entries = good_entries();
    entries.push((format!("{SUBFOLDER}/readme.html"), b"<p>".to_vec()));
    let body = pack(&entries);
    let (url, server) = serve(ok(&body));
    let archive = Archive { url: &url, sha256: &sha256(&body), bytes: body.len() as u64 };
    let mut calls = Vec::new();
    let config = agent().proxy(None).build();
    let found = fetch(&config, &archive, &folder, |done, total| calls.push((done, total))).unwrap();
    server.join().unwrap();

    assert_eq!(found, folder.join(SUBFOLDER));
    assert_eq!(names(&folder), [SUBFOLDER]);
    assert_eq!(names(&found), FILES);
    let size = body.len() as u64;
    assert_eq!(calls.last(), Some(&(size, size)));
    assert!(calls.is_sorted());
    let split = crate::cifar10::load(&folder).unwrap();
    assert_eq!((split.train.labels, split.test.labels), (vec![0, 1, 2, 3, 4], vec![5]));
}

#[test]
fn another_archive_is_refused() {
    let (good, mut other) = (pack(&good_entries()), pack(&good_entries()));
    let last = other.len() - 1;
    other[last] ^= 1;
    let error = refused(ok(&other), &good);
    assert!(error.contains(&format!("its sha256 is {}; expected {}", sha256(&other), sha256(&good))));
    // Of another length, as announced by the server, and not announced.
    let error = refused(ok(&other[1..]), &good);
    assert!(error.contains(&format!("offers {last} bytes; expected {}", good.len())), "{error}");
    let longer = [b"HTTP/1.1 200 OK\r\n\r\n", &good[..], b"more"].concat();
    let error = refused(longer, &good);
    assert!(error.contains(&format!("more than the expected {} bytes", good.len())), "{error}");
}

#[test]
fn a_truncated_body_is_refused() {
    let body = pack(&good_entries());
    let mut response = ok(&body);
    response.truncate(response.len() - 10);
    let error = refused(response, &body);
    assert!(error.contains(&format!("of {} bytes", body.len())), "{error}");
    // Without an announced length, the end of the connection is the end of the body.
    let head = b"HTTP/1.1 200 OK\r\n\r\n";
    let error = refused([head, &body[..body.len() - 10]].concat(), &body);
    assert!(error.contains("fewer than the expected"), "{error}");
}

#[test]
fn a_refusing_server_and_no_server_are_told() {
    let body = pack(&good_entries());
    let error = refused(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), &body);
    assert!(error.contains("404") && error.contains("http://127.0.0.1"), "{error}");
    let folder = TempDir::new().unwrap();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let archive = Archive { url: &url, sha256: "", bytes: 1 };
    let error = fetch(&agent().proxy(None).build(), &archive, folder.path(), |_, _| ()).unwrap_err();
    assert!(error.to_string().contains(&url), "{error}");
}

#[test]
fn paths_of_the_archive_are_never_used() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("cifar10");
    let evil = parent.path().join("absolute.bin");
    let mut entries = vec![
        ("../data_batch_1.bin".to_string(), record(9)),
        (format!("{SUBFOLDER}/../../data_batch_1.bin"), record(9)),
        (format!("{SUBFOLDER}/../data_batch_1.bin"), record(9)),
        (evil.to_str().unwrap().to_string(), record(9)),
        ("data_batch_1.bin".to_string(), record(9)),
    ];
    entries.extend(good_entries());
    let body = pack(&entries);
    let found = fetch_into(&folder, ok(&body), &body).unwrap();
    assert_eq!(names(parent.path()), ["cifar10"]);
    assert_eq!(names(&folder), [SUBFOLDER]);
    assert_eq!(names(&found), FILES);
    assert_eq!(fs::read(found.join(FILES[0])).unwrap(), record(0));
}

#[test]
fn archives_of_other_contents_are_refused() {
    let lacking = pack(&good_entries()[..5]);
    assert!(refused(ok(&lacking), &lacking).contains("lacks cifar-10-batches-bin/test_batch.bin"));
    let twice = pack(&[&good_entries()[..], &good_entries()[..1]].concat());
    assert!(refused(ok(&twice), &twice).contains("data_batch_1.bin twice"));
    let mut entries = good_entries();
    entries.push((format!("{SUBFOLDER}/{NAMES_FILE}"), vec![b'a'; 5000]));
    let long = pack(&entries);
    assert!(refused(ok(&long), &long).contains("5000 bytes; expected at most 4096"));
    let garbage = b"not a gzip stream at all".to_vec();
    assert!(refused(ok(&garbage), &garbage).contains("cannot be read"));
    // A link under a wanted name is not a file.
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    let link = format!("{SUBFOLDER}/data_batch_1.bin");
    builder.append_link(&mut header, link, "/etc/hostname").unwrap();
    let linked = builder.into_inner().unwrap().finish().unwrap();
    assert!(refused(ok(&linked), &linked).contains("lacks cifar-10-batches-bin/data_batch_1.bin"));
}

#[test]
fn files_that_were_there_stay_or_are_replaced_whole() {
    let folder = TempDir::new().unwrap();
    let old = folder.path().join(SUBFOLDER);
    fs::create_dir(&old).unwrap();
    fs::write(old.join("notes.txt"), "mine").unwrap();
    fs::write(old.join(FILES[0]), "half").unwrap();
    let body = pack(&good_entries());
    fetch_into(folder.path(), ok(b"other"), &body).unwrap_err();
    assert_eq!(fs::read(old.join(FILES[0])).unwrap(), b"half");
    fetch_into(folder.path(), ok(&body), &body).unwrap();
    assert_eq!(fs::read(old.join(FILES[0])).unwrap(), record(0));
    assert_eq!(fs::read(old.join("notes.txt")).unwrap(), b"mine");
    assert_eq!(names(folder.path()), [SUBFOLDER]);
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = cifar10(&file.join("cifar10"), |_, _| ()).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error:?}");
}

#[test]
fn a_complete_set_is_not_fetched_again() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join(SUBFOLDER);
    fs::create_dir(&inner).unwrap();
    for name in FILES {
        assert_eq!(official_files(folder.path()), None);
        // Sparse: no disk space is taken.
        File::create(inner.join(name)).unwrap().set_len(FILE_BYTES).unwrap();
    }
    let nothing_arrives = |_, _| panic!("a byte was fetched");
    assert_eq!(cifar10(folder.path(), nothing_arrives).unwrap(), inner);
    assert_eq!(official_files(&inner), Some(inner));
}
