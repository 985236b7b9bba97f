//! The first two seasons, of which the first estimate is made.

/// The share of the slots that both seasons must have.
const COVERED: f64 = 0.75;

/// For each slot what two different seasons had there.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    slots: Vec<[Mean; 2]>,
    /// When it began.
    since: Option<f64>,
}

/// A mean of what came.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count = self.count.saturating_add(1);
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

impl Gathered {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: vec![[Mean::default(); 2]; slots],
            since: None,
        }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Adds a value to the slot's first season or, later than a `period` after the beginning, to
    /// its second.
    pub(super) fn add(&mut self, slot: usize, at: f64, value: f64, period: f64) {
        let since = *self.since.get_or_insert(at);
        let which = usize::from(at - since >= period);
        self.slots[slot][which].add(value);
    }

    /// The mean and by how much each slot differs from it, once two seasons are there. Where too
    /// much of them is missing the first is dropped, and the second becomes the first.
    pub(super) fn season(&mut self, now: f64, period: f64) -> Option<(f64, Vec<f64>)> {
        let since = self.since.filter(|since| now - since >= 2.0 * period)?;
        let season = self.difference(since / period);
        if season.is_none() {
            self.since = Some(since + period);
            for [first, second] in &mut self.slots {
                *first = std::mem::take(second);
            }
        }
        season
    }

    /// `since` is where the first season began, in seasons.
    fn difference(&self, since: f64) -> Option<(f64, Vec<f64>)> {
        let pairs: Vec<Option<(f64, f64)>> = self.slots.iter().map(both).collect();
        let count = pairs.iter().flatten().count() as f64;
        let slots = self.slots.len() as f64;
        if count < COVERED * slots {
            return None;
        }
        let growth = pairs.iter().flatten().map(|(a, b)| b - a).sum::<f64>() / count;
        let middles = pairs.iter().flatten().map(|(a, b)| f64::midpoint(*a, *b));
        let mean = middles.sum::<f64>() / count;
        let differences = pairs.iter().enumerate().map(|(slot, pair)| {
            let into = ((slot as f64 + 0.5) / slots - since).rem_euclid(1.0);
            pair.map(|(a, b)| f64::midpoint(a, b) - mean - growth * (into - 0.5))
        });
        // The mean is that of the middle of both seasons; what it is at their end is wanted.
        Some((mean + growth, filled(&differences.collect::<Vec<_>>())))
    }
}

fn both([first, second]: &[Mean; 2]) -> Option<(f64, f64)> {
    Some((first.value()?, second.value()?))
}

/// Holes in a ring, filled on a straight line from the neighbour before to the one after.
fn filled(ring: &[Option<f64>]) -> Vec<f64> {
    let count = ring.len();
    let known = |slot: usize| ring[slot % count];
    (0..count)
        .map(|slot| {
            let back = (0..count).find_map(|by| Some((by, known(slot + count - by)?)));
            let on = (0..count).find_map(|by| Some((by, known(slot + by)?)));
            let ((back, before), (on, after)) = back.zip(on).unwrap_or_default();
            let share = back as f64 / (back + on).max(1) as f64;
            before + (after - before) * share
        })
        .collect()
}
