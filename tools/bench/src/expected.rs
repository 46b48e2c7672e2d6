//! Reference results, each for exactly the inputs with its fingerprint: the comparison programs' own
//! inputs, and those that this program makes. They were computed by the hand-written programs of the
//! peers where there is one, otherwise by a peer that differentiates.

use crate::check::Digest;

/// The recorded results for inputs of a fingerprint.
pub fn find(fingerprint: &str) -> Option<Digest> {
    let found = RECORDED.iter().find(|r| r.0 == fingerprint)?;
    Some(Digest {
        value: found.3,
        norm: found.4,
        probe: found.5,
    })
}

/// Fingerprint, workload, the peer, value, norm of the gradient, probe of the gradient.
type Record = (&'static str, &'static str, &'static str, f64, f64, f64);

const RECORDED: &[Record] = &[];

#[cfg(test)]
mod tests {
    use super::{RECORDED, find};

    #[test]
    fn records_are_unique_and_found() {
        for (i, record) in RECORDED.iter().enumerate() {
            assert!(RECORDED.iter().skip(i + 1).all(|r| r.0 != record.0));
            assert!(find(record.0).is_some_and(|d| d.norm > 0.0), "{}", record.1);
        }
        assert_eq!(find("0"), None);
    }
}
