//! Scores that are places in a sequence of backends.

/// Tells each of `count` positions once, with the place at which it first comes in a sequence of
/// positions and places.
pub(super) fn tell_firsts(
    count: usize,
    sequence: impl Iterator<Item = (usize, u32)>,
    tell: &mut dyn FnMut(usize, f64),
) {
    let mut is_told = vec![false; count];
    for (index, place) in sequence {
        if is_told.get(index) == Some(&false) {
            is_told[index] = true;
            tell(index, f64::from(place));
        }
    }
}

/// Tells each position that comes in a sequence once, by the order in which they do.
pub(super) fn tell_order(
    count: usize,
    sequence: impl Iterator<Item = usize>,
    tell: &mut dyn FnMut(usize, f64),
) {
    let mut place = 0.0;
    let tell = &mut |index: usize, _: f64| {
        tell(index, place);
        place += 1.0;
    };
    tell_firsts(count, sequence.zip(0..), tell);
}
