//! The way of a question through a partition, without Python: what is kept, what is weighed, what never panics.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed unwrap is a failed test, and figures are made from small counts"
)]

use proptest::prelude::*;
use resopt_core::error::Error;
use resopt_core::guard::Guards;
use resopt_core::semantic::calibrate::{Basis, CLOSED, Policy, Profile, Standing, Verdict};
use resopt_core::semantic::partition::{Judge, Options, Partition};

const POLICY: Policy = Policy {
    profile: Profile::Balanced,
    max_wrong: 0.05,
    similarity_threshold: 0.95,
    basis: Basis::Bundled,
    audit_rate: 1.0,
    miss_rate: 1.0,
};

fn partition() -> Partition {
    Partition::new(Options {
        dimensions: None,
        judge: Judge::Bundled,
        policy: POLICY,
        alpha: 0.05,
        guards: Guards::ALL,
        exact: false,
        seed: Some(1),
    })
    .unwrap()
}

#[test]
fn a_paraphrase_is_served_and_its_label_counted() {
    let mut partition = partition();
    partition.insert(1, "How do I reset my password?", None, None).unwrap();
    let decision = partition.decide("How can I reset my password?", None, true).unwrap();
    assert_eq!(
        (decision.verdict, decision.standing, decision.audited),
        (Verdict::Serve, Standing::Cold, true)
    );
    assert_eq!(partition.calibrator().bounds().0.pending(), 1);
    partition.learn(&decision, 1, true, true, None).unwrap();
    let (life, epoch) = partition.calibrator().bounds();
    assert_eq!((life.pending(), life.labelled(), epoch.labelled()), (0, 1, 1));
    assert_eq!(partition.calibrator().figures().labels, 1);
    assert!(matches!(
        partition.learn(&decision, 2, true, true, None),
        Err(Error::InvalidArgument(_))
    ));
}

#[test]
fn wrong_answers_close_it_and_a_second_label_changes_no_bound() {
    let mut partition = partition();
    partition.insert(1, "How do I reset my password?", None, None).unwrap();
    let mut served = 0;
    for _ in 0..200 {
        let decision = partition.decide("How can I reset my password?", None, true).unwrap();
        if decision.verdict == Verdict::Miss {
            break;
        }
        served += 1;
        partition.learn(&decision, 1, false, true, None).unwrap();
        let labelled = partition.calibrator().bounds().0.labelled();
        partition.learn(&decision, 1, false, true, None).unwrap();
        assert_eq!(partition.calibrator().bounds().0.labelled(), labelled);
    }
    assert!(served < 20, "{served} wrong answers before it stopped");
    assert_eq!(partition.calibrator().figures().floor, CLOSED);
    assert!(partition.calibrator().bounds().0.lower() > 0.5);
}

#[test]
fn octets_come_and_go_with_entries() {
    let mut partition = partition();
    let empty = partition.octets();
    partition.insert(1, "What are the fees?", None, Some(1)).unwrap();
    let one = partition.octets_of(1).unwrap();
    assert!((500..4000).contains(&one), "{one}");
    partition.insert(1, "What are the fees?", None, Some(2)).unwrap();
    assert_eq!(partition.octets_of(1), Some(one));
    assert!(partition.remove(1) && !partition.remove(1));
    assert_eq!(partition.len(), 0);
    assert!(partition.octets() < empty + one);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic(texts in prop::collection::vec(any::<String>(), 1..6), asked in any::<String>()) {
        let mut partition = partition();
        for (id, text) in (0..).zip(&texts) {
            partition.insert(id, text, None, None).unwrap();
        }
        let decision = partition.decide(&asked, None, true).unwrap();
        prop_assert!(decision.candidates.iter().all(|candidate| partition.contains(candidate.id)));
        for candidate in &decision.candidates {
            partition.learn(&decision, candidate.id, true, true, Some(0)).unwrap();
        }
        let mut other = self::partition();
        other.restore(&partition.to_bytes()).unwrap();
        prop_assert_eq!(other.to_bytes(), partition.to_bytes());
    }

    #[test]
    fn no_bytes_make_restoring_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..4000) {
        let mut partition = partition();
        prop_assert!(partition.restore(&bytes).is_err());
        let mut damaged = partition.to_bytes();
        let place = at % damaged.len();
        damaged[place] ^= 0x40;
        prop_assert!(partition.restore(&damaged).is_err());
    }
}
