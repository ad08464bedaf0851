//! A short campaign for each reader, and readers that are wrong, which campaigns must find.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_fuzz::{Counting, Found, Target, campaign, find, targets};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The largest allocation is the whole program's, so that campaigns run one after the other: one test.
#[test]
fn readers_survive_damaged_files_and_wrong_ones_are_found() {
    for target in targets() {
        for seed in [(target.seeds)(), vec![Vec::new()]].concat() {
            (target.run)(&seed);
        }
        // A case of some takes several files.
        let most = if target.name == "folder" { 150 } else { 3000 };
        match campaign(&target, 1, |cases| cases < most) {
            Found::Nothing(outcomes) => assert!(outcomes > 10, "{}: only {outcomes} outcomes", target.name),
            crash @ Found::Crash(..) => panic!("{}: {crash:?}", target.name),
        }
    }
    let wrong: [fn(&[u8]) -> String; 2] = [
        // It trusts a length.
        |file| file.first().map_or(String::new(), |&n| format!("{}", file[usize::from(n) % 400])),
        // It takes memory by the header.
        |file| match file.first_chunk::<4>() {
            Some(n) => format!("{}", vec![0_u8; u32::from_be_bytes(*n) as usize >> 4].capacity()),
            None => String::new(),
        },
    ];
    for run in wrong {
        let target = Target { run, ..find("safetensors").unwrap() };
        let found = campaign(&target, 1, |cases| cases < 3000);
        assert!(matches!(found, Found::Crash(..)), "{found:?}");
    }
}
