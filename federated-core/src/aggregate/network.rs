/// The comparators `(low, high)` of Batcher's merge exchange, which sorts `length` values of any kind.
///
/// Which values are compared does not depend on the values: so one network sorts many columns at once, and a
/// comparator on two rows of columns is a minimum and a maximum that processors do for several columns in one step.
/// There are about `length * log2(length)^2 / 4` comparators.
///
/// # References
/// Knuth, "The Art of Computer Programming", volume 3, second edition, section 5.2.2, algorithm M.
pub(super) fn merge_exchange(length: usize) -> Vec<(usize, usize)> {
    let largest = length.next_power_of_two() / 2;
    let mut comparators = Vec::new();
    let mut step = largest;
    while step > 0 {
        let (mut span, mut offset, mut distance) = (largest, 0, step);
        loop {
            let starts = (0..length.saturating_sub(distance)).filter(|start| start & step == offset);
            comparators.extend(starts.map(|start| (start, start + distance)));
            if span == step {
                break;
            }
            (distance, span, offset) = (span - step, span / 2, step);
        }
        step /= 2;
    }
    comparators
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The zero-one principle (Knuth, section 5.3.4, theorem Z): a network that sorts every sequence of zeros and ones
    /// sorts everything.
    #[test]
    fn every_sequence_of_zeros_and_ones_is_sorted() {
        for length in 0..=16_u32 {
            let network = merge_exchange(length as usize);
            for sequence in 0..1_u32 << length {
                let mut bits = sequence;
                for (low, high) in &network {
                    // A one that lies low and a zero that lies high change places.
                    if bits >> low & 1 > bits >> high & 1 {
                        bits ^= 1 << low | 1 << high;
                    }
                }
                let ones = sequence.count_ones();
                assert_eq!(bits >> (length - ones), (1 << ones) - 1, "{sequence:b} of {length}");
                assert_eq!(bits.count_ones(), ones);
            }
        }
    }

    /// The counts of Knuth's table for powers of two: (p^2 - p + 4) 2^(p - 2) - 1 for 2^p values.
    #[test]
    fn the_network_has_the_known_number_of_comparators() {
        assert_eq!([4, 8, 16, 64].map(|length| merge_exchange(length).len()), [5, 19, 63, 543]);
        assert!(merge_exchange(1).is_empty());
    }
}
