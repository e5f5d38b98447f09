//! How long things took, in buckets: `latency.rs` counts callbacks, `host_status.rs` calls to services.

use std::time::Duration;

use super::page::{Labels, Samples};

/// Upper bounds of the buckets of a histogram, in nanoseconds. One more bucket has what is above.
pub(super) type Bounds = &'static [u64];

/// The bucket of a time.
pub(super) fn bucket(bounds: Bounds, nanoseconds: u64) -> usize {
    bounds.partition_point(|bound| *bound < nanoseconds)
}

/// A time as it is counted.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How many things took how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    bounds: Bounds,
    /// One more than there are bounds.
    counts: Vec<u64>,
    /// Of all, in nanoseconds.
    sum: u64,
}

impl Histogram {
    /// With what was counted in each bucket, and the sum.
    pub(super) fn new(bounds: Bounds, counts: Vec<u64>, sum: u64) -> Histogram {
        Histogram { bounds, counts, sum }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count))
    }

    /// How long they took on average, in seconds.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| seconds(self.sum) / count as f64)
    }

    /// A time that this part of them, 0.99 say, did not exceed, in seconds: the bound of a bucket. Infinite when it is above all bounds.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        let wanted = (count as f64 * part).ceil() as u64;
        let mut below = 0u64;
        let bucket = self.counts.iter().position(|count| {
            below = below.wrapping_add(*count);
            below >= wanted
        })?;
        (count > 0).then(|| self.bounds.get(bucket).map_or(f64::INFINITY, |bound| seconds(*bound)))
    }

    /// Adds what another one of the same kind has.
    pub fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum = sum.wrapping_add(*count));
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Writes it for Prometheus.
    pub fn write(&self, samples: &mut Samples<'_>, labels: &Labels) {
        let buckets = self.bounds.iter().zip(&self.counts).map(|(bound, count)| (seconds(*bound), *count));
        samples.add_histogram(labels, buckets, self.count(), seconds(self.sum));
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::page::{Family, Format, Kind, Page};

    const BOUNDS: Bounds = &[5_000, 1_000_000, 1_000_000_000];

    fn of(times: &[u64]) -> Histogram {
        let mut counts = vec![0; BOUNDS.len() + 1];
        times.iter().for_each(|time| counts[bucket(BOUNDS, *time)] += 1);
        Histogram::new(BOUNDS, counts, times.iter().sum())
    }

    #[test]
    fn a_bucket_has_what_is_not_above_its_bound() {
        let buckets = [0, 5_000, 5_001, 1_000_000_000, 1_000_000_001, u64::MAX].map(|time| bucket(BOUNDS, time));
        assert_eq!(buckets, [0, 0, 1, 2, 3, 3]);
    }

    #[test]
    fn what_is_said_of_times_is_in_seconds() {
        let mut histogram = of(&[4_000, 4_500, 900_000]);
        histogram.add(&of(&[2_000_000_000]));
        assert_eq!(histogram.count(), 4);
        assert_eq!(histogram.quantile(0.5), Some(0.000005));
        assert_eq!(histogram.quantile(0.75), Some(0.001));
        assert_eq!(histogram.quantile(0.99), Some(f64::INFINITY));
        assert_eq!(histogram.mean(), Some(0.500227125));
        assert_eq!((of(&[]).mean(), of(&[]).quantile(0.5)), (None, None));
        let mut page = Page::new(Format::Text);
        let family = Family { name: "t", kind: Kind::Histogram, help: "T.", is_plain: false };
        page.family(&family, |samples| histogram.write(samples, &Labels::none()));
        assert_eq!(
            page.finish(),
            "# HELP t T.\n# TYPE t histogram\nt_bucket{le=\"0.000005\"} 2\nt_bucket{le=\"0.001\"} 3\nt_bucket{le=\"1\"} 3\n\
             t_bucket{le=\"+Inf\"} 4\nt_sum 2.0009085\nt_count 4\n"
        );
    }
}
