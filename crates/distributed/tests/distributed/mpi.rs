//! Ranks that are processes: each test starts some by `mpirun`, and each of them runs one of the ignored tests of this file.
//! `WGRAD_MPIRUN` is another command with its options, as `mpirun.mpich`.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use wgrad_distributed::{
    Communicator, Error, Mpi, MpiSettings, Wire, agree, all_gather_bytes, all_reduce, broadcast_bytes, fail,
    launched, same_everywhere, world,
};

use crate::{on_each, values};

/// Ranks of two jobs at once would share the processors, and take longer to end.
static ONE_JOB: Mutex<()> = Mutex::new(());

/// How a job ended.
struct Job {
    code: Option<i32>,
    output: String,
    /// From a rank's failure to the end of all processes.
    took: Duration,
    /// Processes of it that still run.
    left: Vec<String>,
}

/// Runs the ignored test `body` as so many ranks, which find `case` in their environment.
fn job(ranks: usize, body: &str, case: &str) -> Job {
    job_of(&[(ranks, std::env::current_exe().expect("this test"))], body, case)
}

/// As [`job`], where the first ranks are of the first program, and so on.
fn job_of(programs: &[(usize, PathBuf)], body: &str, case: &str) -> Job {
    let _one = ONE_JOB.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let log = File::create(folder.path().join("log")).expect("a file");
    let command = std::env::var("WGRAD_MPIRUN")
        .unwrap_or_else(|_| "mpirun --oversubscribe --bind-to none --mca mpi_yield_when_idle 1".to_owned());
    let mut words = command.split_whitespace();
    let mut mpirun = Command::new(words.next().unwrap_or_default());
    mpirun.args(words);
    for (i, (ranks, program)) in programs.iter().enumerate() {
        mpirun.args(if i > 0 { &[":"][..] } else { &[] }).args(["-n", &ranks.to_string()]).arg(program);
        mpirun.args(["--ignored", "--exact", &format!("mpi::{body}"), "--test-threads=1", "--nocapture"]);
    }
    let mut mpirun = mpirun
        .envs([
            ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
            ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
            ("WGRAD_CASE", case),
        ])
        .env("WGRAD_JOB", folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("mpirun is installed");
    let began = Instant::now();
    let code = loop {
        if let Some(status) = mpirun.try_wait().expect("a child") {
            break status.code();
        }
        if began.elapsed() > Duration::from_secs(60) {
            let group = mpirun.id();
            for (signal, to) in [("-TERM", format!("{group}")), ("-KILL", format!("-{group}"))] {
                let _ = Command::new("kill").args([signal, "--", &to]).status();
                std::thread::sleep(Duration::from_secs(3));
            }
            let _ = mpirun.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let failed = fs::metadata(folder.path().join("failed")).and_then(|file| file.modified());
    let took = || failed.as_ref().map_or(began.elapsed(), |at| at.elapsed().unwrap_or_default());
    let mut left = running(folder.path());
    while !left.is_empty() && took() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
        left = running(folder.path());
    }
    let took = took();
    let output = fs::read_to_string(folder.path().join("log")).expect("text");
    Job { code, output, took, left }
}

/// The processes of a job that have not ended.
fn running(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("the folder").flatten();
    let processes =
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_prefix("pid-")?.to_owned()));
    // Those that have ended, and that nobody has asked about, have no command.
    let is_running =
        |pid: &String| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| !text.is_empty());
    processes.filter(is_running).collect()
}

/// What a rank notes down for the test that has started it.
fn note(name: &str) {
    let folder = PathBuf::from(std::env::var("WGRAD_JOB").expect("set by the test"));
    File::create(folder.join(name)).expect("a file");
}

/// The ranks and the case, in one of the processes that a test has started.
fn rank(settings: MpiSettings) -> Option<(Mpi, String)> {
    launched()?;
    let ranks = Mpi::init_with(settings).expect("MPI starts");
    note(&format!("pid-{}", std::process::id()));
    Some((ranks, std::env::var("WGRAD_CASE").expect("set by the test")))
}

fn signal(name: &str) {
    let own = std::process::id().to_string();
    Command::new("kill").args([name, &own]).status().expect("kill");
    std::thread::sleep(Duration::from_secs(60));
}

/// Settings under which one second of silence is too long.
fn hasty() -> MpiSettings {
    MpiSettings { silence: Duration::from_secs(1), ..MpiSettings::default() }
}

#[test]
fn processes_have_the_sums_that_threads_have() {
    for ranks in [1, 2, 3, 4] {
        for most_bytes in ["1000", "1000000000"] {
            let job = job(ranks, "sums", most_bytes);
            assert_eq!(job.code, Some(0), "{ranks} ranks, {most_bytes}: {}", job.output);
            assert_eq!(job.output.matches("1 passed").count(), ranks, "{}", job.output);
        }
    }
}

#[test]
#[ignore = "a rank"]
fn sums() {
    let most_bytes = std::env::var("WGRAD_CASE").ok().and_then(|case| case.parse().ok());
    let settings = MpiSettings { most_bytes: most_bytes.unwrap_or(1), ..MpiSettings::default() };
    let Some((ranks, _)) = rank(settings) else { return };
    let (own, size) = (ranks.rank(), ranks.size());
    assert_eq!((ranks.local(), Some((own, size))), ((own, size), launched()));
    let longest = if settings.most_bytes > 1000 { 1_200_001 } else { 12_001 };
    for (wire, len) in
        [Wire::F32, Wire::F16].into_iter().flat_map(|wire| [0, 1, 2, 3, 1001, longest].map(|len| (wire, len)))
    {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let expected = on_each(size, |ranks| {
            let mut sums = values(ranks.rank(), len);
            all_reduce(&ranks, &mut sums, wire).expect("all ranks are there");
            sums
        });
        let mut sums = values(own, len);
        all_reduce(&ranks, &mut sums, wire).expect("MPI gives no errors");
        assert!(bits(sums) == bits(expected.into_iter().next().expect("rank 0")), "{wire:?}, {len} values");
    }
    let bytes = |rank: usize| vec![rank as u8 + 1; rank * 700];
    let all: Vec<_> = (0..size).map(bytes).collect();
    assert_eq!(all_gather_bytes(&ranks, &bytes(own)), Ok(all.clone()));
    for (root, sent) in all.into_iter().enumerate() {
        assert_eq!(broadcast_bytes(&ranks, bytes(own), root), Ok(sent));
    }
    let message = "no such file".to_owned();
    let is_last = own + 1 == size;
    let failed = agree(&ranks, if is_last { Err(Error::Usage(message.clone())) } else { Ok(()) });
    let error = if is_last { Error::Usage(message) } else { Error::Rank { rank: size - 1, message } };
    assert_eq!(failed, Err(error));
    assert_eq!((ranks.barrier(), ranks.broadcast(&mut [], 0)), (Ok(()), Ok(())));
    assert!(ranks.broadcast(&mut [0], size).is_err() && ranks.all_gather(&[0], &mut []).is_err());
    assert!(Mpi::init().is_err(), "MPI starts once");
}

/// The code of a job that has lost a rank.
const LOST: i32 = 75;

/// How a rank fails, the job's exit code, and what its output says.
const FAILURES: [(&str, i32, &str); 8] = [
    ("is killed", 137, "rank 1 with PID"),
    ("exits", 3, ",1]"),
    ("panics", 101, "rank 1 has panicked"),
    ("stops", LOST, "rank 1 no longer answers (seen by rank 2)"),
    ("stops as rank 0", LOST, "rank 0 no longer answers (seen by rank 1)"),
    ("ends", LOST, "rank 1 has ended, and rank "),
    ("fails", 4, "rank 1: its disk is full"),
    ("waits", LOST, "has waited for the others for 2 s"),
];

#[test]
fn a_rank_that_fails_ends_the_job_within_ten_seconds() {
    for (case, code, says) in FAILURES {
        let job = job(3, "failures", case);
        let output = &job.output;
        println!("{case}: {:.1} s, code {:?}", job.took.as_secs_f32(), job.code);
        // Of a rank that can't speak Open MPI's launcher gives the number, and MPICH's its process.
        let other = std::env::var_os("WGRAD_MPIRUN").is_some() && job.code != Some(LOST);
        let says = if other { "" } else { says };
        let signal = other && job.code == Some(9);
        assert!(job.code == Some(code) || signal, "{case}: {:?}: {output}", job.code);
        assert!(output.contains(says), "{case}: {output}");
        assert!(job.took < Duration::from_secs(10), "{case} took {:?}: {output}", job.took);
        assert!(job.left.is_empty(), "{case}: {:?} still run", job.left);
    }
}

#[test]
#[ignore = "a rank"]
fn failures() {
    let hurried = std::env::var("WGRAD_CASE").is_ok_and(|case| case == "waits");
    let timeout = Duration::from_secs(if hurried { 2 } else { 1800 });
    let Some((ranks, case)) = rank(MpiSettings { timeout, ..MpiSettings::default() }) else { return };
    let failing = if case.ends_with("rank 0") { 0 } else { 1 };
    for step in 0..100 {
        all_reduce(&ranks, &mut vec![1.0; 100_000], Wire::F32).expect("MPI gives no errors");
        if (step, ranks.rank()) != (50, failing) {
            continue;
        }
        note("failed");
        match &*case {
            "is killed" => signal("-KILL"),
            "exits" => std::process::exit(3),
            "panics" => panic!("as a test"),
            "stops" | "stops as rank 0" => signal("-STOP"),
            "ends" => return,
            "fails" => drop(fail(Some(&ranks), "test", &"its disk is full", 4)),
            _ => std::thread::sleep(Duration::from_secs(60)),
        }
    }
    panic!("nothing has ended this rank");
}

#[test]
fn long_computation_and_ends_at_different_times_are_no_failures() {
    let job = job(3, "patience", "");
    assert_eq!(job.code, Some(0), "{}", job.output);
    assert_eq!(job.output.matches("1 passed").count(), 3, "{}", job.output);
}

#[test]
#[ignore = "a rank"]
fn patience() {
    let Some((ranks, _)) = rank(hasty()) else { return };
    // Rank 0 is done with a broadcast as soon as it has sent it, and makes no call after it.
    ranks.barrier().expect("MPI gives no errors");
    std::thread::sleep(Duration::from_millis(1500) * ranks.rank() as u32);
    let mut bytes = [ranks.rank() as u8; 5];
    ranks.broadcast(&mut bytes, 0).expect("MPI gives no errors");
    assert_eq!(bytes, [0; 5]);
}

#[test]
fn ranks_that_were_started_differently_say_so_once() {
    let job = job(3, "differences", "");
    let message = "rank 2 was started with another seed than rank 0: `2`, not `0`";
    assert_eq!((job.code, job.output.matches(message).count()), (Some(2), 1), "{}", job.output);
}

#[test]
#[ignore = "a rank"]
fn differences() {
    let Some((ranks, _)) = rank(hasty()) else { return };
    let seed = (ranks.rank() / 2 * 2).to_string();
    let same = same_everywhere(&ranks, &[("build", "0.1.0"), ("seed", &seed)]);
    let error = same.expect_err("the seeds differ");
    fail(Some(&ranks), "test", &error, 2);
}

#[test]
fn ranks_of_different_builds_are_refused_and_the_one_that_differs_is_named() {
    let own = std::env::current_exe().expect("this test");
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("other");
    fs::copy(&own, &other).expect("a copy");
    // A byte behind its end changes nothing of what an executable does.
    let mut file = File::options().append(true).open(&other).expect("the copy");
    file.write_all(b"x").expect("a byte more");
    drop(file);
    let job = job_of(&[(2, own.clone()), (1, other)], "builds", "");
    let message = "rank 2 was started with another executable than rank 0: `";
    assert_eq!((job.code, job.output.matches(message).count()), (Some(2), 1), "{}", job.output);
    let job = job_of(&[(1, own.clone()), (1, own)], "builds", "");
    assert_eq!(job.code, Some(0), "{}", job.output);
}

#[test]
#[ignore = "a rank"]
fn builds() {
    if launched().is_none() {
        return;
    }
    if let Err(error) = world() {
        fail(None, "test", &error, 2);
        std::process::exit(2);
    }
}
