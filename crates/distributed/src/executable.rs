//! Which program a rank runs, to the byte.

use std::env::consts::{ARCH, OS};
use std::fs::File;
use std::io::{self, Read as _};

use crate::start::same_among;
use crate::{Communicator, Result, same_everywhere};

/// Fails, on every rank alike, unless all ranks run the same version, and those on machines of one architecture and system the
/// same executable. Other machines have other executables by right, so that of these the version alone is compared.
pub(crate) fn check(ranks: &dyn Communicator) -> Result<()> {
    same_everywhere(ranks, &[("version", env!("CARGO_PKG_VERSION"))])?;
    compare(ranks, &describe())
}

fn compare(ranks: &dyn Communicator, own: &str) -> Result<()> {
    let machine = |text: &[u8]| text.iter().position(|&byte| byte == b':').map(|end| text[..end].to_vec());
    same_among(ranks, "executable", own, |a, b| machine(a).is_some() && machine(a) == machine(b))
}

/// The kind of machine, and what tells its executables apart. Where the file can't be read that is missing, and not compared.
fn describe() -> String {
    match checksum() {
        Ok((bytes, sum)) => format!("{ARCH} {OS}: {bytes} bytes, CRC-32 {sum:08x}"),
        Err(_) => format!("{ARCH} {OS}"),
    }
}

/// The length of this process's executable, and its checksum.
fn checksum() -> io::Result<(u64, u32)> {
    // A program may have been built anew since it started: Linux still has the one that runs.
    let file = File::open("/proc/self/exe").or_else(|_| File::open(std::env::current_exe()?));
    let (mut file, mut hash, mut bytes) = (file?, crc32fast::Hasher::new(), 0);
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((bytes, hash.finalize())),
            count => {
                hash.update(&piece[..count]);
                bytes += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{compare, describe};
    use crate::{Communicator as _, Error, Threads};

    /// What each rank gets, where they run these executables.
    fn compared<const N: usize>(executables: [&str; N]) -> Vec<Result<(), Error>> {
        Threads::run(Threads::new(N), |ranks| compare(&ranks, executables[ranks.rank()]))
    }

    #[test]
    fn executables_are_compared_on_machines_of_one_kind() {
        let own = describe();
        assert!(own.contains(": ") && own.contains("CRC-32"), "{own}");
        assert_eq!(compared([&own, &own, &own]), [Ok(()), Ok(()), Ok(())]);
        // Machines of two kinds, and files that can't be read.
        assert_eq!(
            compared(["x86_64 linux: 1", "aarch64 linux: 2", "x86_64 linux: 1"]),
            [Ok(()), Ok(()), Ok(())]
        );
        assert_eq!(compared(["x86_64 linux: 1", "x86_64 linux", "x86_64 linux"]), [Ok(()), Ok(()), Ok(())]);
        for error in compared(["x86_64 linux: 1", "aarch64 linux: 2", "x86_64 linux: 1", "aarch64 linux: 3"])
        {
            let message = error.expect_err("rank 3 has another one").to_string();
            let expected = "rank 3 was started with another executable than rank 1: `aarch64 linux: 3`, not `aarch64 linux: 2`";
            assert_eq!(message, expected);
        }
    }
}
