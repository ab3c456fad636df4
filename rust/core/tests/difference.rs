//! The bets on a difference of means are worth what the definition says, and pairs are made in order.

use resopt_core::error::Error;
use resopt_core::stats::difference::MeanDifference;

/// The log of the mean of `Π (1 - f + f (1+d)/(1+m))` over the twelve stakes, as the module's text defines it.
fn by_definition(differences: &[f64], mean: f64) -> f64 {
    let capital: f64 = (0..12)
        .map(|member| {
            let stake = 0.004 * (0.99_f64 / 0.004).powf(f64::from(member) / 11.0);
            differences
                .iter()
                .map(|difference| 1.0 - stake + stake * (1.0 + difference) / (1.0 + mean))
                .product::<f64>()
        })
        .sum();
    (capital / 12.0).ln()
}

#[test]
fn the_evidence_is_that_of_the_definition() -> Result<(), Error> {
    let mut difference = MeanDifference::new(0.5)?;
    for (second, value) in [
        (true, 1.0),
        (true, 0.25),
        (false, 0.0),
        (true, 0.5),
        (false, 0.75),
        (false, 0.5),
        (false, 1.0),
    ] {
        difference.add(second, value)?;
    }
    for mean in [-0.5, 0.0, 0.3] {
        let expected = by_definition(&[1.0, -0.5, 0.0], mean);
        assert!((difference.evidence(mean) - expected).abs() < 1e-12, "{mean}");
    }
    Ok(())
}

#[test]
fn what_lies_between_cells_is_worth_a_little_less_and_never_more() -> Result<(), Error> {
    let mut difference = MeanDifference::paired();
    let values = [0.01, -0.333, 0.999, 0.12, -1.0, 1.0];
    for value in values {
        difference.add(true, value)?;
    }
    for mean in [-0.9, -0.1, 0.2] {
        let (got, exact) = (difference.evidence(mean), by_definition(&values, mean));
        assert!(got <= exact + 1e-12 && got > exact - 0.02, "{got} {exact}");
    }
    Ok(())
}

#[test]
fn both_ends_are_mirrored() -> Result<(), Error> {
    let (mut one, mut other) = (MeanDifference::paired(), MeanDifference::paired());
    for number in 0..500 {
        let value = [1.0, 0.0, 0.0, -0.25][number % 4];
        one.add(true, value)?;
        other.add(true, -value)?;
    }
    let ((low, high), (mirrored_low, mirrored_high)) = (one.interval(0.05)?, other.interval(0.05)?);
    assert!((low + mirrored_high).abs() < 1e-9 && (high + mirrored_low).abs() < 1e-9);
    assert!(low < 0.1875 && 0.1875 < high);
    Ok(())
}
