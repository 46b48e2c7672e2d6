//! Offsets of buffers, against exhaustive search and cases that are known to be hard.

use std::path::PathBuf;
use std::time::Duration;

use cotangent_compile::remat::{Buffer, PlaceError, PlaceOptions, Placement, place};

/// Numbers that are the same in every run (a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % n.max(1)
    }

    fn buffers(&mut self, count: usize, times: usize, long: usize, size: usize) -> Vec<Buffer> {
        let mut one = || {
            let first = self.below(times) as u64;
            Buffer {
                first,
                end: first + 1 + self.below(long) as u64,
                size: 1 + self.below(size) as u64,
            }
        };
        (0..count).map(|_| one()).collect()
    }
}

fn placed(buffers: &[Buffer], options: &PlaceOptions) -> Placement {
    let placement = place(buffers, options).unwrap();
    placement.check(buffers).unwrap();
    assert!(placement.height >= placement.load);
    placement
}

/// The least height: any placement can sink until every buffer stands on another or at 0, so some
/// order in which each is put on all that it meets gives it.
fn least_height(buffers: &[Buffer]) -> u64 {
    fn go(buffers: &[Buffer], offsets: &mut [Option<u64>], height: u64, best: &mut u64) {
        if height >= *best {
            return;
        }
        if offsets.iter().all(Option::is_some) {
            *best = height;
            return;
        }
        for i in (0..buffers.len())
            .filter(|i| offsets[*i].is_none())
            .collect::<Vec<_>>()
        {
            let b = buffers[i];
            let below = buffers
                .iter()
                .zip(offsets.iter())
                .filter_map(|(o, offset)| {
                    let meets = o.first.max(b.first) < o.end.min(b.end);
                    offset.filter(|_| meets).map(|offset| offset + o.size)
                });
            let offset = below.max().unwrap_or(0);
            offsets[i] = Some(offset);
            go(buffers, offsets, height.max(offset + b.size), best);
            offsets[i] = None;
        }
    }
    let mut best = u64::MAX;
    go(buffers, &mut vec![None; buffers.len()], 0, &mut best);
    best
}

#[test]
fn small_cases_are_placed_as_low_as_can_be() {
    let mut numbers = Numbers(2);
    for round in 0..1000 {
        let count = 2 + numbers.below(if round % 10 == 0 { 6 } else { 12 });
        let buffers = numbers.buffers(count, 9, 4, 2 + round % 5);
        let placement = placed(&buffers, &PlaceOptions::default());
        assert!(placement.optimal);
        // Nothing is below the load, so only what is above it is left to be shown.
        if placement.height > placement.load || count <= 7 {
            assert_eq!(placement.height, least_height(&buffers), "{buffers:?}");
        }
    }
}

#[test]
fn large_cases_are_placed_within_the_stack_and_the_time() {
    let mut numbers = Numbers(4);
    for count in [1000, 5000] {
        let buffers = numbers.buffers(count, 2 * count, count, 1000);
        let options = PlaceOptions {
            nodes: 3000,
            time: Some(Duration::from_secs(5)),
            ..PlaceOptions::default()
        };
        let placement = placed(&buffers, &options);
        assert!(placement.height < placement.load * 3 / 2);
    }
    // Blocks side by side: the search places one after the other, as deep as there are buffers.
    let side = |i: u64| Buffer {
        first: i,
        end: i + 3,
        size: 2 + i % 5,
    };
    let buffers: Vec<Buffer> = (0..1000).map(side).collect();
    let options = PlaceOptions {
        nodes: 20_000,
        ..PlaceOptions::default()
    };
    placed(&buffers, &options);
}

#[test]
fn bad_buffers_and_bad_placements_are_errors() {
    let buffer = |first, end, size| Buffer { first, end, size };
    let told = |buffers: &[Buffer]| place(buffers, &PlaceOptions::default()).unwrap_err();
    assert!(matches!(
        told(&[buffer(3, 2, 1)]),
        PlaceError::Backwards { buffer: 0, .. }
    ));
    let half = buffer(0, 1, u64::MAX / 2);
    assert!(matches!(
        told(&[half, half, half]),
        PlaceError::Overflow { .. }
    ));
    assert_eq!(placed(&[], &PlaceOptions::default()).height, 0);
    assert_eq!(placed(&[buffer(1, 1, 5)], &PlaceOptions::default()).load, 0);

    let buffers = [buffer(0, 2, 4), buffer(1, 3, 4)];
    let with = |offsets: &[u64], height| Placement {
        offsets: offsets.to_vec(),
        height,
        load: 8,
        optimal: true,
    };
    assert_eq!(
        with(&[0, 3], 8).check(&buffers),
        Err(PlaceError::Overlap(0, 1))
    );
    assert!(matches!(
        with(&[0, 4], 7).check(&buffers),
        Err(PlaceError::TooHigh { buffer: 1, .. })
    ));
    assert!(matches!(
        with(&[0], 8).check(&buffers),
        Err(PlaceError::Count { .. })
    ));
    assert_eq!(with(&[4, 0], 8).check(&buffers), Ok(()));
}

#[test]
fn hard_cases_fit_their_capacity() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/remat/minimalloc");
    if !folder.is_dir() {
        println!("skipped: no ../shared");
        return;
    }
    // The others take more than a second or two in a debug build; the command `remat` solves all.
    for case in ["B", "C", "D", "E", "F", "G", "H", "J"] {
        let text = std::fs::read_to_string(folder.join(format!("{case}.1048576.csv"))).unwrap();
        let lines = text.lines().skip(1).map(|line| {
            let fields: Vec<u64> = line.split(',').filter_map(|f| f.parse().ok()).collect();
            let &[_, first, end, size] = &fields[..] else {
                panic!("expected four numbers, found `{line}`");
            };
            Buffer { first, end, size }
        });
        let buffers: Vec<Buffer> = lines.collect();
        let options = PlaceOptions {
            capacity: Some(1 << 20),
            nodes: 2_000_000,
            time: None,
        };
        let placement = placed(&buffers, &options);
        println!(
            "{case}: {} of {}, load {}",
            placement.height,
            1 << 20,
            placement.load
        );
        assert!(placement.height <= 1 << 20);
    }
}
