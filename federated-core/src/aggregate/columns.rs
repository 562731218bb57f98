use super::{AggregateError, WeightedBlock, block_length, network::merge_exchange};

/// Columns that are sorted together: 64 updates of so many columns are 16 KiB and stay in the nearest cache.
pub(super) const TILE: usize = 64;

/// Some columns, a row an update; after sorting, a row a rank, the smallest value of each column first.
pub(super) type Rows = [[f32; TILE]];

/// Sorts every column and makes one value of it.
///
/// `reduce` gets the sorted rows of some columns and gives the value of each. Zeros of both signs are equal and stand in
/// any order: a value must not show which one it came from.
pub(super) fn combine_sorted(
    blocks: &[WeightedBlock<'_>],
    reduce: impl Fn(&Rows) -> [f32; TILE],
) -> Result<Vec<f32>, AggregateError> {
    let length = block_length(blocks)?;
    let network = merge_exchange(blocks.len());
    let mut rows = vec![[0.0; TILE]; blocks.len()];
    let mut combined = Vec::with_capacity(length);
    for start in (0..length).step_by(TILE) {
        let end = length.min(start + TILE);
        for (row, block) in rows.iter_mut().zip(blocks) {
            row[..end - start].copy_from_slice(&block.values[start..end]);
        }
        sort(&mut rows, &network);
        combined.extend_from_slice(&reduce(&rows)[..end - start]);
    }
    Ok(combined)
}

/// Sorts every column: a comparator leaves the smaller value in its first row and the larger one in its second.
fn sort(rows: &mut Rows, network: &[(usize, usize)]) {
    for comparator in network {
        let Ok([low, high]) = rows.get_disjoint_mut((*comparator).into()) else {
            continue;
        };
        for (low, high) in low.iter_mut().zip(high) {
            // Two selections by one comparison, each one instruction for several columns: kept or swapped.
            (*low, *high) =
                (if *low < *high { *low } else { *high }, if *low < *high { *high } else { *low });
        }
    }
}
